//! One name pattern of Robocopy: `*` and `?`, the whole name, blind to ASCII case.

/// A compiled pattern. A wildcard language of two signs is smaller than the translation into anybody else's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Pattern {
    /// `*` and `*.*`: every name, also one without a dot.
    Any,
    /// `*.`: a name without an extension.
    WithoutExtension,
    /// Anything else; only `*` and `?` are special.
    Wildcard(Box<[u8]>),
}

impl Pattern {
    /// Reads a pattern that [`Filter::new`](super::Filter::new) found to be one.
    pub(super) fn new(text: &str) -> Self {
        match text {
            "*" | "*.*" => Self::Any,
            "*." => Self::WithoutExtension,
            _ => Self::Wildcard(text.as_bytes().into()),
        }
    }

    /// Whether the whole of `name` fits.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::WithoutExtension => !name.contains(&b'.'),
            Self::Wildcard(pattern) => wildcard_matches(pattern, name),
        }
    }
}

/// Greedy matching that goes back to the last `*` only, so that the time is bounded by the product of the two lengths.
fn wildcard_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last `*`, and how much of the name that star has not swallowed.
    let mut star = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, n));
                continue;
            }
            (Some(b'?'), Some(_)) => {
                p += 1;
                n += character_len(&name[n..]);
                continue;
            }
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {
                p += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_star, from)) = star.filter(|&(_, from)| from < name.len()) else {
            return false;
        };
        (p, n) = (after_star, from + character_len(&name[from..]));
        star = Some((p, n));
    }
}

/// Bytes of the first character of `name`, which is not empty: what `?` stands for. A byte that begins no UTF-8 character stands for itself.
fn character_len(name: &[u8]) -> usize {
    let len = match name[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = name.get(1..len).is_some_and(|rest| rest.iter().all(|byte| byte & 0xc0 == 0x80));
    if whole { len } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, matching: &str, other: &str) {
        let compiled = Pattern::new(pattern);
        for name in matching.split_whitespace() {
            assert!(compiled.matches(name.as_bytes()), "{pattern} should match {name}");
        }
        for name in other.split_whitespace() {
            assert!(!compiled.matches(name.as_bytes()), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn a_pattern_covers_the_whole_name() {
        check("bar", "bar BAR Bar", "barf ubar ba");
        check("ab*", "ab ab1 ab.c", "xab a");
        check("*.c*", "ab.c abc.cpp d.cs", "c ab.x");
        check("?b", "ab éb €b", "b aab");
        check("*??", "ab éa", "€ é a");
    }

    #[test]
    fn letters_match_in_either_case_but_only_ascii_ones() {
        check("*.txt", "a.TXT b.Txt", "a.tx");
        check("É", "É", "é");
    }

    #[test]
    fn star_dot_star_means_every_name_and_star_dot_those_without_a_dot() {
        check("*.*", "README a.txt .git", "");
        check("*.", "README", "a.txt .git");
    }

    #[test]
    fn signs_of_other_pattern_languages_are_plain_letters() {
        check("[a-c].{x,y}", "[a-c].{x,y}", "a.x b.y");
        check(r"\*", r"\x \", "*");
        check("!a", "!a", "b");
    }

    #[test]
    fn a_pattern_of_many_stars_does_not_take_for_ever() {
        let pattern = Pattern::new(&"*a".repeat(500));
        assert!(!pattern.matches(&[b'a'; 255]));
        assert!(pattern.matches(&[b'a'; 500]));
    }

    /// The definition, by recursion.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                naive(rest, name) || (!name.is_empty() && naive(pattern, &name[1..]))
            }
            ([b'?', rest @ ..], [_, name @ ..]) => naive(rest, name),
            ([a, rest @ ..], [b, name @ ..]) => a.eq_ignore_ascii_case(b) && naive(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*?]{0,8}", name in "[abAB]{0,10}") {
            let wildcard = Pattern::Wildcard(pattern.as_bytes().into());
            prop_assert_eq!(wildcard.matches(name.as_bytes()), naive(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn any_bytes_are_answered(pattern in "\\PC{0,12}", name in proptest::collection::vec(any::<u8>(), 0..40)) {
            Pattern::new(&pattern).matches(&name);
        }
    }
}
