//! Items of `/XF` and `/XD` turned into the rules that both sites apply.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use quicopy_protocol::options::Rule;
use quicopy_protocol::path::RelPath;
use quicopy_protocol::text::Quoted;

/// The trees of a job as typed: what an item with a path in it may lie in.
#[derive(Clone, Copy)]
pub(super) struct Roots<'a> {
    /// The source, absolute.
    pub source: &'a Path,
    /// The destination: absolute if it is local, else as typed.
    pub destination: &'a Path,
    /// What relative paths begin at.
    pub cwd: &'a Path,
    /// Where a path leads through all links; `None` if it is not there.
    pub canonical: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

/// An item that cannot be a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// A name that is not UTF-8, which no pattern can be.
    #[error("\"{}\" is not UTF-8", shown(.0))]
    NotText(OsString),
    /// A path with a wildcard in it.
    #[error("\"{}\" has a wildcard in a path; wildcards stand in names only", shown(.0))]
    WildcardInPath(OsString),
    /// A relative path, which Robocopy takes and then never matches.
    #[error("\"{}\" is a relative path below neither SOURCE nor DESTINATION; write a name, or the full path", shown(.0))]
    RelativePath(OsString),
    /// The root of one of the trees.
    #[error("\"{}\" leaves out everything", shown(.0))]
    Everything(OsString),
    /// Nothing, or a path that is too long or climbs with `..`.
    #[error("\"{}\" is neither a name nor a path below SOURCE or DESTINATION", shown(.0))]
    Unfit(OsString),
}

/// What an item comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Converted {
    /// A rule.
    Rule(Rule),
    /// A full path outside both trees: lists that several jobs share have them, and they match nothing.
    Outside,
}

/// Turns one item into a rule.
pub(super) fn convert(item: &OsStr, roots: Roots<'_>) -> Result<Converted, RuleError> {
    let refuse = |error: fn(OsString) -> RuleError| Err(error(item.to_owned()));
    let bytes = item.as_bytes();
    // `.git/` means the name: shells complete it so.
    let trimmed = trim_slashes(bytes);
    if trimmed.is_empty() {
        return refuse(if bytes.is_empty() { RuleError::Unfit } else { RuleError::Everything });
    }
    if !trimmed.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        return match str::from_utf8(trimmed) {
            Ok("." | "..") => refuse(RuleError::Unfit),
            Ok(name) => Ok(Converted::Rule(Rule::Name(name.to_owned()))),
            Err(_) => refuse(RuleError::NotText),
        };
    }
    if trimmed.iter().any(|byte| matches!(byte, b'*' | b'?')) {
        return refuse(RuleError::WildcardInPath);
    }
    let path = Path::new(OsStr::from_bytes(trimmed));
    match below(path, roots) {
        Some(below) if below.as_os_str().is_empty() => refuse(RuleError::Everything),
        Some(below) => match RelPath::parse(below.as_os_str().as_bytes()) {
            Ok(below) => Ok(Converted::Rule(Rule::Path(below))),
            Err(_) => refuse(RuleError::Unfit),
        },
        None if path.is_absolute() || trimmed.starts_with(br"\\") => Ok(Converted::Outside),
        None => refuse(RuleError::RelativePath),
    }
}

/// The rest of `path` below one of the trees.
fn below(path: &Path, roots: Roots<'_>) -> Option<PathBuf> {
    let absolute = clean(&roots.cwd.join(path));
    let trees = [roots.source, roots.destination];
    let below_any = |is_root: &dyn Fn(&Path, &Path) -> bool| {
        let is_tree = |above: &&Path| trees.iter().any(|tree| is_root(above, tree));
        let above = absolute.ancestors().find(is_tree)?;
        absolute.strip_prefix(above).ok().map(Path::to_owned)
    };
    let is_alias = |above: &Path, tree: &Path| {
        tree.is_absolute()
            && (roots.canonical)(tree).is_some_and(|tree| (roots.canonical)(above) == Some(tree))
    };
    // A remote destination as typed, of which only the slashes may differ.
    let slashed = |path: &Path| {
        let bytes = path.as_os_str().as_bytes().iter();
        let bytes: Vec<u8> = bytes.map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
        PathBuf::from(OsStr::from_bytes(&bytes))
    };
    below_any(&|above, tree| above == clean(tree))
        // The same folder by another name, such as through a link; what lies below it may be one itself.
        .or_else(|| below_any(&is_alias))
        // Left out by a slip of case is better than deleted by one.
        .or_else(|| below_any(&|above, tree| above.as_os_str().eq_ignore_ascii_case(clean(tree))))
        .or_else(|| slashed(path).strip_prefix(slashed(roots.destination)).ok().map(Path::to_owned))
}

/// The path without `.` and double or trailing slashes. `..` stays: what it leads to, only the disk knows.
pub(super) fn clean(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

fn shown(item: &OsStr) -> Quoted<'_> {
    Quoted(item.as_bytes())
}

fn trim_slashes(bytes: &[u8]) -> &[u8] {
    let kept = bytes.iter().rposition(|byte| !matches!(byte, b'/' | b'\\'));
    &bytes[..kept.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Roots<'static> {
        Roots {
            source: Path::new("/home/ann/src"),
            destination: Path::new("/backup/dst"),
            cwd: Path::new("/home/ann"),
            canonical: &|path| match path.strip_prefix("/alias") {
                Ok(rest) if rest == Path::new("link") => Some("/elsewhere".into()),
                Ok(rest) => Some(Path::new("/home/ann/src").join(rest)),
                Err(_) => Some(path.to_owned()),
            },
        }
    }

    fn name(text: &str) -> Result<Converted, RuleError> {
        Ok(Converted::Rule(Rule::Name(text.into())))
    }

    fn path(text: &str) -> Result<Converted, RuleError> {
        Ok(Converted::Rule(Rule::Path(RelPath::parse(text.as_bytes()).unwrap_or_default())))
    }

    fn check(item: &str, expected: Result<Converted, RuleError>) {
        assert_eq!(convert(OsStr::new(item), local()), expected, "{item}");
    }

    #[test]
    fn a_name_holds_at_every_depth() {
        check(".git", name(".git"));
        check("*.tmp", name("*.tmp"));
        check("node_modules/", name("node_modules"));
    }

    #[test]
    fn a_full_path_below_either_tree_is_that_one_entry() {
        check("/home/ann/src/obj", path("obj"));
        check("/home/ann/src/a/./b//c/", path("a/b/c"));
        check("/backup/dst/other", path("other"));
        check("src/obj", path("obj"));
        check("./src/obj", path("obj"));
    }

    #[test]
    fn a_full_path_outside_both_trees_matches_nothing() {
        check("/etc/x", Ok(Converted::Outside));
        check("/home/ann/srcx/y", Ok(Converted::Outside));
    }

    #[test]
    fn a_tree_is_known_in_another_case() {
        check("/Backup/DST/keep", path("keep"));
        check("/HOME/ann/src/a/b", path("a/b"));
        check("/Backup/DSTx/keep", Ok(Converted::Outside));
    }

    #[test]
    fn a_tree_is_known_by_its_other_names() {
        check("/alias/obj", path("obj"));
        check("/alias/link", path("link"));
        check("/alias/link/x", path("link/x"));
        check("/alias", Err(RuleError::Everything("/alias".into())));
        let roots = Roots { canonical: &|_| None, ..local() };
        assert_eq!(convert(OsStr::new("/alias/obj"), roots), Ok(Converted::Outside));
    }

    #[test]
    fn what_would_silently_match_nothing_or_everything_is_refused() {
        check("sub/dir", Err(RuleError::RelativePath("sub/dir".into())));
        check(r"sub\dir", Err(RuleError::RelativePath(r"sub\dir".into())));
        check("/home/ann/src/a*/b", Err(RuleError::WildcardInPath("/home/ann/src/a*/b".into())));
        check("/home/ann/src", Err(RuleError::Everything("/home/ann/src".into())));
        check("/", Err(RuleError::Everything("/".into())));
        check("/home/ann/src/../x/y", Err(RuleError::Unfit("/home/ann/src/../x/y".into())));
        check("..", Err(RuleError::Unfit("..".into())));
        check("", Err(RuleError::Unfit("".into())));
    }

    #[test]
    fn a_path_below_a_remote_destination_as_typed_counts_too() {
        let roots = Roots { destination: Path::new(r"\\B\Scripts$"), ..local() };
        assert_eq!(convert(OsStr::new(r"\\b\x"), roots), Ok(Converted::Outside));
        assert_eq!(convert(OsStr::new(r"\\B\Scripts$\keep\me"), roots), path("keep/me"));
    }
}
