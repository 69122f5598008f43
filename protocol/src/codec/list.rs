//! Lists on the wire, counted before they are decoded.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::limits::BATCH_ITEMS_MAX;

/// Decodes a list of at most [`BATCH_ITEMS_MAX`] items. A longer one is an error before its first item is looked at.
///
/// An item in memory may be ten times as large as on the wire; the count is what bounds it.
pub(crate) fn batch<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(BatchVisitor(PhantomData))
}

struct BatchVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BatchVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {BATCH_ITEMS_MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let claimed = sequence.size_hint().unwrap_or(0);
        if claimed > BATCH_ITEMS_MAX {
            return Err(A::Error::invalid_length(claimed, &self));
        }
        // Room grows with what is really there: a claim alone reserves little.
        let mut items = Vec::with_capacity(claimed.min(64));
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}
