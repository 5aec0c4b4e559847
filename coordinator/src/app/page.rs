//! Lists in pages, newest first: how long one is, and the token that leads to the next.

use std::fmt::Debug;

use sha2::{Digest, Sha256};

use super::Error;

const DEFAULT: u32 = 50;
const MOST: u32 = 1000;
/// Bytes of the texts on one page, about: a page of long texts is a shorter one.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that anything on a page comes to beside its texts, or about so many.
const REST: usize = 1024;

/// A page that was asked for.
pub(super) struct Page {
    size: u32,
    /// Only what has a smaller number: where the page before ended.
    pub before: Option<u64>,
    /// A token begins with this, so that one page's token is not taken for another list's.
    filters: String,
}

impl Page {
    /// `size` 0 is the default; an empty `token` the first page; the `filters` are all that narrows the list.
    pub fn read(size: u32, token: &str, filters: &impl Debug) -> Result<Self, Error> {
        let filters = format!("{}-", hex::encode(&Sha256::digest(format!("{filters:?}"))[..4]));
        let before = match token {
            "" => None,
            token => Some(token.strip_prefix(&filters).and_then(|number| number.parse().ok()).ok_or_else(
                || Error::invalid("page_token", "is not from an earlier page with the same filters"),
            )?),
        };
        let size = match size {
            0 => DEFAULT,
            size if size <= MOST => size,
            size => return Err(Error::invalid("page_size", format!("is {size}; at most {MOST}"))),
        };
        Ok(Self { size, before, filters })
    }

    /// How many to read: one more than fit, which tells whether there is another page.
    pub fn limit(&self) -> u32 {
        self.size + 1
    }

    /// Leaves on the page what fits, one at least, so that a list comes to its end; answers with the token of
    /// the next page, which is empty on the last.
    pub fn cut<T>(
        &self,
        found: &mut Vec<T>,
        text: impl Fn(&T) -> usize,
        number: impl Fn(&T) -> u64,
    ) -> String {
        let fitting = fitting(found.iter().map(text)).clamp(1, self.size as usize);
        let more = found.len() > fitting;
        found.truncate(fitting);
        match found.last() {
            Some(last) if more => format!("{}{}", self.filters, number(last)),
            _ => String::new(),
        }
    }
}

/// How many of these, by the bytes of their texts, one answer holds.
pub(super) fn fitting(texts: impl Iterator<Item = usize>) -> usize {
    fitting_in(MAX_BYTES, texts)
}

/// How many of these, by the bytes of their texts, come to no more than `most`.
pub(super) fn fitting_in(most: usize, texts: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    texts
        .take_while(|text| {
            bytes += text + REST;
            bytes <= most
        })
        .count()
}
