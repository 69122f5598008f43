//! Two sorted listings of one directory, walked in step.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::{slice, vec};

use quicopy_protocol::meta::Entry;
use quicopy_protocol::path::Name;

use super::Listed;

/// What makes two names one: their bytes.
///
/// Everything that asks whether the two sides mean the same name asks this type. Where the destination folds case or normal
/// forms, [`fold`](super::fold()) has given its entries the source's bytes before.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NameKey<'a>(&'a [u8]);

impl<'a> NameKey<'a> {
    /// The key of a name.
    pub fn of(name: &'a Name) -> Self {
        Self(name.as_bytes())
    }
}

/// One name that at least one side has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pair<'a> {
    /// Only the source.
    Source(&'a Entry),
    /// Both.
    Both(&'a Entry, Listed),
    /// Only the destination.
    Destination(Listed),
}

/// Walks two listings in step; both must be in strictly ascending order of [`NameKey`].
pub fn merge(source: &[Entry], destination: Vec<Listed>) -> impl Iterator<Item = Pair<'_>> {
    Merge { source: source.iter().peekable(), destination: destination.into_iter().peekable() }
}

struct Merge<'a> {
    source: Peekable<slice::Iter<'a, Entry>>,
    destination: Peekable<vec::IntoIter<Listed>>,
}

impl<'a> Iterator for Merge<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let order = match (self.source.peek(), self.destination.peek()) {
            (Some(source), Some(listed)) => {
                NameKey::of(&source.name).cmp(&NameKey::of(&listed.name))
            }
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.source.next().map(Pair::Source),
            Ordering::Greater => self.destination.next().map(Pair::Destination),
            Ordering::Equal => Some(Pair::Both(self.source.next()?, self.destination.next()?)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::sample::{entries, name, present};
    use super::*;

    fn check(source: &str, destination: &str, pairs: &str) {
        let source = entries(source);
        let destination = destination
            .split_whitespace()
            .map(|text| Listed { name: name(text), present: present() })
            .collect();
        let merged: Vec<_> = merge(&source, destination)
            .map(|pair| match pair {
                Pair::Source(entry) => format!("{}>", entry.name),
                Pair::Both(entry, listed) => {
                    assert_eq!(entry.name, listed.name);
                    format!("{}=", entry.name)
                }
                Pair::Destination(listed) => format!("<{}", listed.name),
            })
            .collect();
        assert_eq!(merged.join(" "), pairs);
    }

    #[test]
    fn every_name_comes_once_and_in_order() {
        check("", "", "");
        check("a b", "", "a> b>");
        check("", "a b", "<a <b");
        check("a c d", "b c e", "a> <b c= d> <e");
        check("a b", "a b", "a= b=");
        check("b", "a b c", "<a b= <c");
    }

    #[test]
    fn names_are_compared_by_their_bytes() {
        check("A a", "a", "A> a=");
        check("a a.b", "a a-b a.b", "a= <a-b a.b=");
        check("é", "e\u{301}", "<e\u{301} é>");
    }
}
