//! The items in the text of a job file: [`items`].

/// What one line of a job file holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A switch with its value, which may hold blanks; or several switches; or an item of the list that is open.
    Bare(String),
    /// One switch, whose value stood in quotes.
    Switch(String),
    /// An item of the list that is open, whatever it looks like: it stood in quotes.
    Quoted(String),
}

/// Why a line holds no item.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// A quote that does not end, or text after one that does.
    #[error("the quotes do not enclose all of the value")]
    Quotes,
    /// Control characters, or what a wrong encoding leaves.
    #[error(
        "it holds characters that no switch has; is the file's encoding another than --job-encoding says?"
    )]
    Characters,
}

/// The lines of a job file that hold something, with their numbers from 1, each as it stands.
///
/// `::` begins a comment at a line's start or after a blank. Within quotes it does not, and a doubled quote is one.
pub fn items(text: &str) -> impl Iterator<Item = (usize, &str, Result<Item, LineError>)> {
    let lines = text.split('\n').zip(1..);
    lines
        .filter_map(|(line, number)| item(line).transpose().map(|item| (number, line.trim(), item)))
}

fn item(line: &str) -> Result<Option<Item>, LineError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with("::") {
        return Ok(None);
    }
    if let Some(quoted) = line.strip_prefix('"') {
        let value = unquote(quoted)?;
        check(&value)?;
        return Ok(Some(Item::Quoted(value)));
    }
    // A value in quotes: `/SD:"C:\My files\"`, `--source-dir="/a"`.
    match line.split_once('"') {
        Some((head, quoted))
            if head.ends_with([':', '=']) && !head.contains(char::is_whitespace) =>
        {
            let text = format!("{head}{}", unquote(quoted)?);
            check(&text)?;
            Ok(Some(Item::Switch(text)))
        }
        Some(_) | None => {
            let text = without_comment(line);
            check(text)?;
            Ok(Some(Item::Bare(text.to_owned())))
        }
    }
}

fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices("::").find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    line[..comment.map_or(line.len(), |(at, _)| at)].trim_end()
}

/// The text up to the closing quote, after which there is nothing but a comment.
fn unquote(text: &str) -> Result<String, LineError> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or(LineError::Quotes)? {
            '"' if chars.as_str().starts_with('"') => {
                value.push('"');
                chars.next();
            }
            '"' => break,
            other => value.push(other),
        }
    }
    let rest = chars.as_str().trim();
    if rest.is_empty() || rest.starts_with("::") { Ok(value) } else { Err(LineError::Quotes) }
}

fn check(text: &str) -> Result<(), LineError> {
    if is_fit(text) { Ok(()) } else { Err(LineError::Characters) }
}

/// Whether a line may hold such a text.
pub(super) fn is_fit(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && c != '\t' || c == char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str, expected: Result<Option<Item>, LineError>) {
        assert_eq!(item(line), expected, "{line}");
    }

    fn bare(text: &str) -> Result<Option<Item>, LineError> {
        Ok(Some(Item::Bare(text.into())))
    }

    #[test]
    fn a_comment_begins_at_the_start_or_after_a_blank() {
        check_line("", Ok(None));
        check_line(" \t\r", Ok(None));
        check_line("::", Ok(None));
        check_line("  :: /MIR", Ok(None));
        check_line("\t/MIR\t\t:: MIRror a directory tree.\r", bare("/MIR"));
        check_line("/DD:quicopy://[::1]/data :: here", bare("/DD:quicopy://[::1]/data"));
    }

    #[test]
    fn values_may_hold_blanks_and_stand_in_quotes() {
        check_line("\t/SD:C:\\My files\\\t:: Source", bare(r"/SD:C:\My files\"));
        let switch = Item::Switch(r"/SD:C:\My :: files\".into());
        check_line("/SD:\"C:\\My :: files\\\"  :: Source", Ok(Some(switch)));
        check_line("  a \"b\" c", bare("a \"b\" c"));
        check_line("  \" /MIR \"", Ok(Some(Item::Quoted(" /MIR ".into()))));
        check_line("\"a\"\"b\"", Ok(Some(Item::Quoted("a\"b".into()))));
    }

    #[test]
    fn quotes_enclose_all_of_a_value() {
        check_line("\"a", Err(LineError::Quotes));
        check_line("\"a\" b", Err(LineError::Quotes));
        check_line("/SD:\"a\"b", Err(LineError::Quotes));
    }

    #[test]
    fn what_a_wrong_encoding_leaves_is_refused() {
        check_line("/SD:a\u{fffd}", Err(LineError::Characters));
        check_line("a\u{1b}[0m", Err(LineError::Characters));
    }

    #[test]
    fn lines_are_counted_from_one_with_those_that_hold_nothing() {
        let found: Vec<_> =
            items(":: x\r\n\r\n/E\r\n").map(|(line, text, _)| (line, text)).collect();
        assert_eq!(found, [(3, "/E")]);
    }
}
