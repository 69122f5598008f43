//! Sizes as Robocopy writes them: one way on file lines, another in the summary.

/// Binary steps from the largest: letter, power of two, decimals in the summary.
const STEPS: [(char, u32, usize); 4] = [('t', 40, 3), ('g', 30, 3), ('m', 20, 2), ('k', 10, 1)];

/// On file lines: bytes below 1 MiB, then one decimal.
pub(super) fn on_line(bytes: u64) -> String {
    match step(bytes) {
        Some((letter, power, _)) if letter != 'k' => scaled(bytes, power, 1, letter),
        Some(_) | None => bytes.to_string(),
    }
}

/// In the summary: bytes below 1 KiB, then `k` with one decimal, `m` with two, `g` and `t` with three.
pub(super) fn in_summary(bytes: u64) -> String {
    match step(bytes) {
        Some((letter, power, decimals)) => scaled(bytes, power, decimals, letter),
        None => bytes.to_string(),
    }
}

fn step(bytes: u64) -> Option<(char, u32, usize)> {
    STEPS.into_iter().find(|(_, power, _)| bytes >> power > 0)
}

fn scaled(bytes: u64, power: u32, decimals: usize, letter: char) -> String {
    // A double holds sizes up to 8 PiB to the byte, and three decimals of all others.
    let value = bytes as f64 / (1_u64 << power) as f64;
    format!("{value:.decimals$} {letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_lines_show_bytes_up_to_a_mebibyte() {
        for (bytes, shown) in [
            (0, "0"),
            (476_693, "476693"),
            (18 << 20, "18.0 m"),
            (704 << 20, "704.0 m"),
            (3 << 30, "3.0 g"),
            (u64::MAX, "16777216.0 t"),
        ] {
            assert_eq!(on_line(bytes), shown);
        }
    }

    #[test]
    fn the_summary_has_more_decimals_the_larger_the_step() {
        for (bytes, shown) in [
            (1023, "1023"),
            (28_774, "28.1 k"),
            (18 << 20, "18.00 m"),
            (18_761_490_498, "17.473 g"),
            (3 << 40, "3.000 t"),
        ] {
            assert_eq!(in_summary(bytes), shown);
        }
    }
}
