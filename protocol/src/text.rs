//! Bytes from a peer or a file system, made safe to show.

use std::fmt::{self, Display, Write};

/// Shows bytes as UTF-8 text in which nothing can move a cursor, break a line or turn the writing direction.
///
/// Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and the backslash-escapes
/// themselves appear as `\n`, `\t`, `\u{..}`; bytes that are not UTF-8 as `\xNN`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_harmless(character) {
                    f.write_char(character)?;
                } else {
                    write!(f, "{}", character.escape_default())?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Shows the beginning of what a user typed or a file holds, as [`Escaped`] does, and `...` for what is longer than a
/// line should be.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

/// Bytes that are quoted: a few lines of a terminal, even if each of them is escaped.
const QUOTED_BYTES_MAX: usize = 200;

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= QUOTED_BYTES_MAX {
            return Escaped(self.0).fmt(f);
        }
        // A character has at most four bytes, of which all but the first begin with these bits.
        let begins = |&end: &usize| self.0[end] & 0b1100_0000 != 0b1000_0000;
        let end = (QUOTED_BYTES_MAX - 3..=QUOTED_BYTES_MAX).rev().find(begins);
        write!(f, "{}...", Escaped(&self.0[..end.unwrap_or(QUOTED_BYTES_MAX)]))
    }
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            // Marks, embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9), and the separators.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error and what caused it, on one line; a cause that the text has already is left out.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// Cuts `text` to at most `bytes_max` bytes, at a character boundary.
pub fn cut(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], shown: &str) {
        assert_eq!(Escaped(bytes).to_string(), shown);
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        check("Grüße, 東京.txt".as_bytes(), "Grüße, 東京.txt");
    }

    #[test]
    fn what_moves_a_terminal_is_spelt_out() {
        check(b"a\nb\t\x1b[31m\x07", "a\\nb\\t\\u{1b}[31m\\u{7}");
        check("\u{9b}x\u{202e}y\u{2028}".as_bytes(), "\\u{9b}x\\u{202e}y\\u{2028}");
    }

    #[test]
    fn bytes_that_are_no_text_show_their_value() {
        check(b"\xff\xfea\xed\xa0\x80", "\\xff\\xfea\\xed\\xa0\\x80");
    }

    #[test]
    fn a_quotation_has_an_end_between_two_characters() {
        let check =
            |text: &str, shown: &str| assert_eq!(Quoted(text.as_bytes()).to_string(), shown);
        let long = "x".repeat(QUOTED_BYTES_MAX);
        check(&long, &long);
        check(&format!("{long}y"), &format!("{long}..."));
        check(&format!("{}ü", &long[1..]), &format!("{}...", &long[1..]));
        check(&format!("{}\u{10ffff}", &long[1..]), &format!("{}...", &long[1..]));
        assert_eq!(Quoted(&[0x80; 300]).to_string(), "\\x80".repeat(QUOTED_BYTES_MAX) + "...");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let mut text = "aü".to_owned();
        cut(&mut text, 2);
        assert_eq!(text, "a");
    }
}
