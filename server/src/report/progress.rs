//! Progress on a terminal: one bar for the whole job, and a line of the files on their way.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::event::{CurrentFile, Progress};

/// Files on their way that the line names; the rest is a number.
const NAMED_MAX: usize = 3;

/// The bars, drawn on standard error.
pub(super) struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    files: ProgressBar,
}

impl Bars {
    /// Draws nothing yet.
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let whole = all.add(ProgressBar::new(0));
        let template = "{wide_bar} {percent:>3}% {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} {msg}";
        whole.set_style(style(template));
        let files = all.add(ProgressBar::new_spinner());
        files.set_style(style("  {wide_msg}"));
        Self { all, whole, files }
    }

    /// Draws what changed.
    pub(super) fn show(&self, progress: &Progress) {
        let more = if progress.scanning { "+" } else { "" };
        self.whole.set_length(progress.bytes_total);
        self.whole.set_position(progress.bytes_done);
        self.whole
            .set_message(format!("{}/{}{more} files", progress.files_done, progress.files_total));
        self.files.set_message(on_their_way(&progress.current));
    }

    /// Clears the bars while `write` puts lines on the terminal.
    pub(super) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.all.suspend(write)
    }

    /// Removes the bars for good.
    pub(super) fn clear(&self) {
        self.whole.finish_and_clear();
        self.files.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants, and tested")
}

fn on_their_way(current: &[CurrentFile]) -> String {
    let mut text = current.iter().take(NAMED_MAX).map(one).collect::<Vec<_>>().join(", ");
    if let more @ 1.. = current.len().saturating_sub(NAMED_MAX) {
        text += &format!(" and {more} more");
    }
    text
}

fn one(file: &CurrentFile) -> String {
    let hundredths = u128::from(file.bytes_done) * 100 / u128::from(file.size_bytes.max(1));
    format!("{} {hundredths}%", file.path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use quicopy_protocol::path::RelPath;

    #[test]
    fn the_templates_are_sound() {
        Bars::new().clear();
    }

    #[test]
    fn many_files_on_their_way_are_a_number() {
        let file = |name: &str| CurrentFile {
            path: RelPath::parse(name.as_bytes()).unwrap(),
            bytes_done: 1,
            size_bytes: 4,
        };
        assert_eq!(on_their_way(&[]), "");
        assert_eq!(on_their_way(&[file("a\x1b"), file("b")]), "a\\u{1b} 25%, b 25%");
        let many = ["a", "b", "c", "d", "e"].map(file);
        assert_eq!(on_their_way(&many), "a 25%, b 25%, c 25% and 2 more");
    }
}
