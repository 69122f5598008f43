//! File patterns: `*` and `?`, whole names, blind to case.

/// Whether the whole name matches.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    // Robocopy's word for everything, with or without a dot.
    if pattern == "*.*" {
        return true;
    }
    let pattern: Vec<_> = pattern.to_ascii_lowercase().chars().collect();
    let name: Vec<_> = name.to_ascii_lowercase().chars().collect();
    rest_matches(&pattern, &name)
}

fn rest_matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', pattern_rest)), _) => {
            rest_matches(pattern_rest, name)
                || name.split_first().is_some_and(|(_, name_rest)| rest_matches(pattern, name_rest))
        }
        (Some(('?', pattern_rest)), Some((_, name_rest))) => rest_matches(pattern_rest, name_rest),
        (Some((one, pattern_rest)), Some((other, name_rest))) => {
            one == other && rest_matches(pattern_rest, name_rest)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[test]
fn whole_names_match_blind_to_case() {
    assert!(matches("*.*", "README") && matches("*.TXT", "a.txt") && matches("a?", "ab"));
    assert!(!matches("bar", "barf") && !matches("a?", "a") && matches("*", ""));
}
