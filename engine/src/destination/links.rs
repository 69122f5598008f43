//! Which links a peer may make.

use quicopy_protocol::path::RelPath;

/// Whether the text of a link in the directory `dir` (a path below the share) leads outside the share.
///
/// Judged by the text alone: what is absolute leads outside, and what climbs above the share's root on the way, even if it
/// comes back. Links that it passes on its way are not followed; they were judged themselves when they were made.
pub(super) fn leads_outside(dir: &RelPath, text: &[u8]) -> bool {
    if text.starts_with(b"/") {
        return true;
    }
    let mut depth = dir.depth();
    for component in text.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(dir: &str, text: &str, outside: bool) {
        let dir = RelPath::parse(dir.as_bytes()).unwrap();
        assert_eq!(leads_outside(&dir, text.as_bytes()), outside, "{text} in {dir}");
    }

    #[test]
    fn a_link_may_not_climb_above_the_share() {
        check("", "a", false);
        check("", "..", true);
        check("a", "..", false);
        check("a", "../../x", true);
        check("a/b", "../../x/../y", false);
        check("a", "../../share/a", true);
        check("a", "b/../../../c", true);
        check("a", "./b//c", false);
        check("a", "/etc/passwd", true);
    }
}
