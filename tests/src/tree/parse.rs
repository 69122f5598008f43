//! From text to items.

use std::time::Duration;

use super::attributes::attribute;

/// One entry of a tree as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Path below the tree's root.
    pub path: String,
    /// What it is.
    pub kind: ItemKind,
    /// Last write time since 1970, if the text gives one.
    pub modified: Option<Duration>,
    /// Permission bits, if the text gives them.
    pub mode: Option<u32>,
    /// Attributes of Windows, if the text gives them.
    pub attributes: Option<u32>,
}

/// What an item is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields are the words of the text")]
pub enum ItemKind {
    Directory,
    File { content: Content },
    Link { target: String },
    HardLink { other: String },
    Fifo,
}

/// Bytes that follow from a seed: the same everywhere, and compressible nowhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    /// What the bytes follow from.
    pub seed: String,
    /// How many there are.
    pub size_bytes: u64,
}

/// Bytes of a file whose size the text does not give.
const SIZE_BYTES: u64 = 5;

impl Item {
    /// Time of an entry for which the text gives none.
    pub const MODIFIED: Duration = Duration::from_secs(1_000_000_000);

    /// The mode that the item has on the disk.
    pub fn mode_or_usual(&self) -> u32 {
        self.mode.unwrap_or(match self.kind {
            ItemKind::Directory => 0o755,
            ItemKind::File { .. } | ItemKind::Fifo => 0o644,
            ItemKind::Link { .. } | ItemKind::HardLink { .. } => 0o777,
        })
    }
}

impl Content {
    /// Calls `take` with the bytes, a piece at a time.
    pub fn pieces(&self, mut take: impl FnMut(&[u8])) {
        let mut bytes = blake3::Hasher::new_derive_key("quicopy-tests content")
            .update(self.seed.as_bytes())
            .finalize_xof();
        let mut piece = vec![0; 1 << 20];
        let mut left = self.size_bytes;
        while left > 0 {
            let length = left.min(1 << 20);
            let piece = &mut piece[..usize::try_from(length).expect("at most 1 MiB")];
            bytes.fill(piece);
            take(piece);
            left -= length;
        }
    }
}

/// Reads a tree's text.
///
/// # Panics
///
/// When it cannot be read: a test is wrong, and the message says which item.
#[track_caller]
pub fn parse(text: &str) -> Vec<Item> {
    text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty()).map(item).collect()
}

fn item(text: &str) -> Item {
    let mut words = text.split_whitespace();
    let path = words.next().expect("an item has a path");
    let mut item = Item {
        path: path.to_owned(),
        kind: ItemKind::Fifo,
        modified: None,
        mode: None,
        attributes: None,
    };
    let mut content = Content { seed: path.to_owned(), size_bytes: SIZE_BYTES };
    let mut kind = None;
    if let Some(directory) = path.strip_suffix('/') {
        item.path = directory.to_owned();
        kind = Some(ItemKind::Directory);
    }
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap_or_else(|| panic!("{text:?} ends early")).to_owned();
        if word == "->" {
            kind = Some(ItemKind::Link { target: next() });
        } else if word == "=" {
            kind = Some(ItemKind::HardLink { other: next() });
        } else if word == "|" {
            kind = Some(ItemKind::Fifo);
        } else if let Some(time) = word.strip_prefix('@') {
            item.modified = Some(duration(time));
        } else if let Some(seed) = word.strip_prefix('#') {
            content.seed = seed.to_owned();
        } else if let Some(letters) = word.strip_prefix('~') {
            item.attributes = Some(letters.chars().map(attribute).fold(0, |all, one| all | one));
        } else if let Some(size_bytes) = size(word) {
            content.size_bytes = size_bytes;
        } else if let (true, Ok(mode)) = (word.starts_with('0'), u32::from_str_radix(word, 8)) {
            item.mode = Some(mode);
        } else {
            panic!("{word:?} in {text:?} is not a word of a tree");
        }
    }
    item.kind = kind.unwrap_or(ItemKind::File { content });
    item
}

fn size(word: &str) -> Option<u64> {
    let (number, unit) = word.split_at_checked(word.len() - 1)?;
    let unit = match unit {
        "B" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

fn duration(word: &str) -> Duration {
    let (seconds, fraction) = word.split_once('.').unwrap_or((word, ""));
    let nanos = format!("{fraction:0<9}");
    match (seconds.parse(), nanos.parse()) {
        (Ok(seconds), Ok(nanos)) => Duration::new(seconds, nanos),
        _ => panic!("{word:?} is not a time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_says_what_it_differs_in() {
        let items = parse("a.txt 10B @10.5 0600 #2 ~AH, d/,\n l -> ../x, h = a.txt, p |");
        assert_eq!(
            items[0],
            Item {
                path: "a.txt".into(),
                kind: ItemKind::File { content: Content { seed: "2".into(), size_bytes: 10 } },
                modified: Some(Duration::from_millis(10_500)),
                mode: Some(0o600),
                attributes: Some(0x22),
            }
        );
        let kinds: Vec<_> = items[1..].iter().map(|item| item.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                ItemKind::Directory,
                ItemKind::Link { target: "../x".into() },
                ItemKind::HardLink { other: "a.txt".into() },
                ItemKind::Fifo,
            ]
        );
    }

    #[test]
    fn content_follows_from_its_seed_alone() {
        let bytes = |seed: &str, size_bytes| {
            let mut bytes = Vec::new();
            Content { seed: seed.into(), size_bytes }
                .pieces(|piece| bytes.extend_from_slice(piece));
            bytes
        };
        let long = bytes("x", (2 << 20) + 3);
        assert_eq!(long.len(), (2 << 20) + 3);
        assert_eq!(bytes("x", 10), long[..10]);
        assert_ne!(bytes("y", 10), long[..10]);
    }
}
