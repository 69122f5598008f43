//! What is copied: folders that are the same in every run.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use fastrand::Rng;

/// A folder to copy.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) folder: PathBuf,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Work {
    /// What is in a folder that exists.
    pub(crate) fn existing(folder: &Path) -> io::Result<Self> {
        let (files, bytes) = count(folder)?;
        Ok(Self { folder: folder.to_owned(), files, bytes })
    }

    /// One file of random bytes.
    pub(crate) fn one_file(folder: &Path, bytes: u64) -> io::Result<Self> {
        const PIECE: u64 = 1 << 20;
        fs::create_dir_all(folder)?;
        let mut file = fs::File::create(folder.join("file.bin"))?;
        let (mut rng, mut piece) = (Rng::with_seed(1), vec![0; PIECE as usize]);
        let mut left = bytes;
        while left > 0 {
            rng.fill(&mut piece);
            let now = left.min(PIECE);
            file.write_all(&piece[..now as usize])?;
            left -= now;
        }
        Self::existing(folder)
    }

    /// So many files of 1 KiB of random bytes each, a thousand to a folder.
    pub(crate) fn small_files(folder: &Path, files: u64) -> io::Result<Self> {
        const TO_A_FOLDER: u64 = 1000;
        let (mut rng, mut content) = (Rng::with_seed(2), [0; 1024]);
        for number in 0..files {
            let inner = folder.join(format!("{:03}", number / TO_A_FOLDER));
            if number % TO_A_FOLDER == 0 {
                fs::create_dir_all(&inner)?;
            }
            rng.fill(&mut content);
            fs::write(inner.join(format!("{number:06}.dat")), content)?;
        }
        Self::existing(folder)
    }

    /// A tree of text that compresses about as source code does.
    pub(crate) fn text_tree(folder: &Path, files: u64, bytes: u64) -> io::Result<Self> {
        const TO_A_FOLDER: u64 = 40;
        let mut rng = Rng::with_seed(3);
        let vocabulary: Vec<String> = (0..20_000).map(|_| word(&mut rng)).collect();
        for number in 0..files {
            let group = number / TO_A_FOLDER;
            let inner = folder.join(format!("{}/{}", vocabulary[group as usize % 50], group));
            fs::create_dir_all(&inner)?;
            // Sizes as in source trees: most small, a few large.
            let size = -rng.f64().max(1e-9).ln() * (bytes as f64 / files as f64);
            let path = inner.join(format!("{}_{number}.c", vocabulary[number as usize % 1000]));
            fs::write(path, text(&mut rng, &vocabulary, size as usize))?;
        }
        Self::existing(folder)
    }
}

/// Files in a folder and below, and their bytes.
pub(crate) fn count(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let (more_files, more_bytes) = if meta.is_dir() {
            count(&entry.path())?
        } else {
            (1, if meta.is_file() { meta.len() } else { 0 })
        };
        files += more_files;
        bytes += more_bytes;
    }
    Ok((files, bytes))
}

fn word(rng: &mut Rng) -> String {
    (0..rng.usize(2..6))
        .flat_map(|_| [rng.choice(*b"bcdfghklmnprstvwxz_"), rng.choice(*b"aeiou")])
        .flatten()
        .map(char::from)
        .collect()
}

fn text(rng: &mut Rng, vocabulary: &[String], bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 100);
    // Each file has its own few names beside the common ones.
    let own: Vec<usize> = (0..60).map(|_| rng.usize(0..vocabulary.len())).collect();
    while text.len() < bytes {
        for _ in 0..rng.usize(1..4) {
            text.push('\t');
        }
        for _ in 0..rng.usize(1..7) {
            let index = if rng.u8(..) < 200 {
                own[rng.usize(0..own.len())]
            } else {
                (rng.f64().powi(3) * vocabulary.len() as f64) as usize
            };
            text.push_str(&vocabulary[index.min(vocabulary.len() - 1)]);
            text.push_str([" ", " = ", "->", "(", ", "][rng.usize(0..5)]);
        }
        text.push_str([";\n", ");\n", " {\n", "\n\n"][rng.usize(0..4)]);
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn work_is_what_was_asked_for_and_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let one = Work::one_file(&folder.path().join("one"), 3_000_000).unwrap();
        assert_eq!((one.files, one.bytes), (1, 3_000_000));
        let again = Work::one_file(&folder.path().join("two"), 3_000_000).unwrap();
        assert_eq!(
            fs::read(one.folder.join("file.bin")).unwrap(),
            fs::read(again.folder.join("file.bin")).unwrap()
        );
        let small = Work::small_files(&folder.path().join("small"), 1500).unwrap();
        assert_eq!((small.files, small.bytes), (1500, 1500 * 1024));
        let text = Work::text_tree(&folder.path().join("text"), 100, 1_000_000).unwrap();
        assert_eq!(text.files, 100);
        assert!((700_000..1_400_000).contains(&text.bytes), "{}", text.bytes);
    }
}
