use std::path::Path;

use quicopy_protocol::options::{DeleteLimit, Durability};
use quicopy_protocol::path::Name;

use super::*;
use crate::share::OutsideLinks;

/// What the file `text` makes of the agent, or `line: reason`.
fn load(text: &str, overrides: Overrides) -> Result<Config, String> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("agent.toml");
    std::fs::write(&path, text).unwrap();
    let environment = Environment { home: Some("/home/u".into()), ..Environment::default() };
    let overrides = Overrides { config: Some(path.clone()), ..overrides };
    Config::load(overrides, &environment)
        .map_err(|error| error.to_string().replace(&format!("{}:", path.display()), ""))
}

fn check_error(text: &str, begins: &str, says: &str) {
    let error = load(text, Overrides::default()).unwrap_err();
    assert!(error.starts_with(begins) && error.contains(says), "{text:?}: {error}");
}

#[test]
fn a_full_file_says_it_all() {
    let text = r#"
        listen = "127.0.0.1:5000"
        state_dir = "/var/q"
        [limits]
        jobs = 3
        [shares."Scripts$"]
        path = "/srv/scripts"
        durability = "file"
        outside_links = true
        max_delete = "10%"
        trash = "30d"
        require_marker = ".this-is-it"
        [shares.data]
        path = "/srv/data"
        max_delete = 500
    "#;
    let config = load(text, Overrides::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:5000".parse().unwrap());
    assert_eq!(config.state_folder, Path::new("/var/q/agent"));
    assert_eq!(config.limits, Limits { jobs: 3, ..Limits::default() });
    let [data, scripts] = &*config.shares else { panic!("{:?}", config.shares) };
    assert_eq!(scripts.name.as_str(), "Scripts$");
    assert_eq!(scripts.durability, Durability::File);
    assert_eq!(scripts.outside_links, OutsideLinks::Consent);
    assert_eq!(scripts.max_delete, Some(DeleteLimit::Percent(10)));
    assert_eq!(data.path, Path::new("/srv/data"));
    assert_eq!(data.max_delete, Some(DeleteLimit::Count(500)));
    assert_eq!(data.outside_links, OutsideLinks::Refuse);
    assert_eq!((scripts.trash_days, data.trash_days), (Some(30), Some(7)));
    assert_eq!(scripts.require_marker, Name::new(*b".this-is-it").ok());
    let off = load("[shares.a]\npath = \"/a\"\ntrash = \"off\"", Overrides::default());
    assert_eq!(off.unwrap().shares[0].trash_days, None);
}

#[test]
fn the_example_says_what_holds_without_it() {
    let example = include_str!("../../packaging/agent.toml");
    let config = load(example, Overrides::default()).unwrap();
    let spelt_out: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") || setting.starts_with('[') => setting,
            Some(_) | None => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let spelt_out = load(&spelt_out, Overrides::default()).unwrap();
    assert_eq!((spelt_out.listen, spelt_out.limits), (config.listen, config.limits));
    assert_eq!(spelt_out.shares[0].trash_days, config.shares[0].trash_days);
    assert_eq!(spelt_out.shares[0].durability, config.shares[0].durability);
}

#[test]
fn mistakes_are_named_with_their_line_and_what_would_be_right() {
    check_error("\nlitsen = \"[::]:1\"", "2: ", "expected one of `listen`, `state_dir`");
    check_error("listen = \"everywhere\"", "1: ", "\"[::]:47470\"");
    check_error("listen = \"[::]:99999\"", "1: ", "not an address");
    check_error("state_dir = \"here\"", "1: ", "begin it with a slash");
    check_error("[shares.data]\npath = \"srv\"", "2: ", "not an absolute path");
    check_error("[shares.data]", "1: ", "missing field `path`");
    check_error("[shares.\"a b\"]\npath = \"/a\"", "1: ", "cannot name a share");
    check_error("[shares.a]\npath = \"/a\"\npaht = 1", "3: ", "unknown field `paht`");
    check_error("[shares.a]\npath = \"/a\"\ndurability = \"x\"", "3: ", "`group`, `file`, `none`");
    check_error("[shares.a]\npath = \"/a\"\nmax_delete = \"101%\"", "3: ", "\"10%\"");
    check_error("[shares.a]\npath = \"/a\"\nmax_delete = true", "3: ", "such as 500");
    for trash in ["7", "0d", "12h", "", "off ", "9999d"] {
        let text = format!("[shares.a]\npath = \"/a\"\ntrash = {trash:?}");
        check_error(&text, "3: ", "\"7d\"");
    }
    check_error("[shares.a]\npath = \"/a\"\nrequire_marker = \"a/b\"", "3: ", "root");
    check_error("[limits]\n\njobs = 0", "3: ", "1 to 256, not 0");
    check_error("[limits]\nspeed = 1", "2: ", "unknown field `speed`");
    check_error("listen = ", "1: ", "");
    check_error("[shares.a]\npath=\"/a\"\n[shares.A]\npath=\"/b\"", "share a ", "twice");
}

#[test]
fn the_command_line_wins_over_the_file_and_adds_to_its_shares() {
    let overrides = Overrides {
        listen: Some("[::1]:9".parse().unwrap()),
        shares: vec![("more".parse().unwrap(), "/more".into())],
        state_dir: Some("/mine".into()),
        ..Overrides::default()
    };
    let text = "listen = \"[::]:1\"\nstate_dir = \"/file\"\n[shares.data]\npath = \"/data\"";
    let config = load(text, overrides).unwrap();
    assert_eq!(config.listen, "[::1]:9".parse().unwrap());
    assert_eq!(config.state_folder, Path::new("/mine/agent"));
    assert_eq!(config.shares.len(), 2);
}

#[test]
fn no_file_is_needed_but_one_that_is_named_is() {
    let environment = Environment { home: Some("/nonexistent".into()), ..Environment::default() };
    let config = Config::load(Overrides::default(), &environment).unwrap();
    assert_eq!((config.listen, config.file), (DEFAULT_LISTEN, None));
    let named = Overrides { config: Some("/nonexistent/x.toml".into()), ..Overrides::default() };
    let error = Config::load(named, &environment).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/x.toml"), "{error}");
}

#[test]
fn the_port_may_be_left_away() {
    assert_eq!(parse_listen("[::]"), Ok(DEFAULT_LISTEN));
    assert_eq!(parse_listen("192.0.2.7"), Ok("192.0.2.7:47470".parse().unwrap()));
}
