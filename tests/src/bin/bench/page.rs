//! The page that keeps the results, case by case.

use std::{fmt::Write, fs, io, path::Path};

/// What one case has to say.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The case's name.
    pub(crate) name: &'static str,
    /// The headline.
    pub(crate) title: &'static str,
    /// What was done.
    pub(crate) text: String,
    /// What came out.
    pub(crate) table: Table,
    /// What the table cannot say, as lines of a block.
    pub(crate) lines: Vec<String>,
}

/// Cells under columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    fn markdown(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.clone());
        text += &line(self.columns.iter().map(|_| "---").collect());
        for row in &self.rows {
            text += &line(row.iter().map(String::as_str).collect());
        }
        text
    }
}

impl Section {
    /// The section as the page shows it.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n{}", self.title, self.text, self.table.markdown());
        if !self.lines.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n```text\n{}\n```\n", self.lines.join("\n"));
        }
        text
    }
}

/// Puts a section where the page's last one of its name stands, or at the end.
pub(crate) fn replace(page: &str, name: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- end {name} -->\n"));
    let marked = format!("{begin}{section}{end}");
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{marked}{}", &page[..from], &page[to + end.len()..])
        }
        _ => format!("{}\n\n{marked}", page.trim_end()),
    }
}

/// Puts a section into the page at `path`.
pub(crate) fn write(path: &Path, section: &Section) -> io::Result<()> {
    let page = fs::read_to_string(path)?;
    fs::write(path, replace(&page, section.name, &section.markdown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_one_of_its_name_and_no_other() {
        let page = replace("# Top\n", "one", "1\n");
        let page = replace(&page, "two", "2\n");
        let again = replace(&page, "one", "3\n");
        assert_eq!(again, page.replace("\n1\n", "\n3\n"));
        assert!(again.contains("\n2\n"));
        assert!(again.starts_with("# Top\n"));
    }

    #[test]
    fn a_table_is_markdown() {
        let table = Table { columns: vec!["a", "b"], rows: vec![vec!["1".into(), "2".into()]] };
        assert_eq!(table.markdown(), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
