//! Which file `/JOB:NAME` and `/SAVE:NAME` mean.

use std::path::{Path, PathBuf};

/// The extension of a name without one, as Robocopy writes it.
pub const EXTENSION: &str = "RCJ";

/// The files that `/JOB` may mean, the likeliest first: with the extension in either case, and with slashes for
/// backslashes, as scripts from Windows have them. Relative ones begin at `cwd`.
pub fn candidates(name: &Path, cwd: &Path) -> Vec<PathBuf> {
    let slashed =
        name.to_str().filter(|text| text.contains('\\')).map(|text| text.replace('\\', "/"));
    let names = [Some(name.to_owned()), slashed.map(PathBuf::from)];
    names.into_iter().flatten().flat_map(|name| spelled(&cwd.join(name))).collect()
}

fn spelled(path: &Path) -> Vec<PathBuf> {
    let with = |extension: &str| match path.file_name() {
        Some(name) if !has_extension(path) => {
            let mut name = name.to_owned();
            name.push(".");
            name.push(extension);
            path.with_file_name(name)
        }
        Some(_) | None => path.with_extension(extension),
    };
    let (upper, lower) = (with(EXTENSION), with(&EXTENSION.to_ascii_lowercase()));
    if has_extension(path) {
        vec![path.to_owned(), upper, lower]
    } else {
        vec![upper, lower, path.to_owned()]
    }
}

/// The file that `/SAVE` writes: the name itself if it has an extension.
pub fn file_to_save(name: &Path, cwd: &Path) -> PathBuf {
    let path = cwd.join(name);
    if path.extension().is_some() { path } else { path.with_extension(EXTENSION) }
}

fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_candidates(name: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(candidates(Path::new(name), Path::new("/cwd")), expected, "{name}");
    }

    #[test]
    fn a_job_is_found_with_its_extension_in_either_case() {
        check_candidates("nightly", &["/cwd/nightly.RCJ", "/cwd/nightly.rcj", "/cwd/nightly"]);
        check_candidates("/j/n.rcj", &["/j/n.rcj", "/j/n.RCJ", "/j/n.rcj"]);
        check_candidates("v1.2", &["/cwd/v1.2.RCJ", "/cwd/v1.2.rcj", "/cwd/v1.2"]);
    }

    #[test]
    fn backslashes_may_be_slashes() {
        let found = candidates(Path::new(r"jobs\a"), Path::new("/cwd"));
        assert!(found.contains(&PathBuf::from("/cwd/jobs/a.RCJ")), "{found:?}");
    }

    #[test]
    fn what_is_saved_gets_an_extension_if_it_has_none() {
        for (name, file) in [("n", "/cwd/n.RCJ"), ("n.rcj", "/cwd/n.rcj"), ("/j/n.txt", "/j/n.txt")]
        {
            assert_eq!(file_to_save(Path::new(name), Path::new("/cwd")), Path::new(file));
        }
    }
}
