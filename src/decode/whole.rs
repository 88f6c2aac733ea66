//! Small inputs: read whole; those that are not inflated with others are inflated whole, member after member.

use std::io::{self, Read};

use super::Limits;
use super::inflate::GZIP_MAGIC;
use super::libdeflate::{Decompressor, Member};

/// The buffers of one reader after another; they grow to the largest input and stay.
#[derive(Default)]
pub(super) struct Whole {
    decompressor: Option<Decompressor>,
    stored: Vec<u8>,
    /// Always as long as it ever was: what is beyond the current text is left from before.
    text: Vec<u8>,
    length: usize,
}

impl Whole {
    /// Reads an input to its end. `false` when it turns out larger than its limit: the rest is left in `input`.
    pub(super) fn load(&mut self, input: &mut impl Read, limits: &Limits) -> io::Result<bool> {
        self.stored.clear();
        let limit = limits.whole_stored_bytes as u64 + 1;
        input.by_ref().take(limit).read_to_end(&mut self.stored)?;
        Ok(self.stored.len() <= limits.whole_stored_bytes)
    }

    /// What was read.
    pub(super) fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// What was read, given away.
    pub(super) fn take_stored(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stored)
    }

    /// Room for the next input.
    pub(super) fn give_back(&mut self, stored: Vec<u8>) {
        self.stored = stored;
    }

    /// How long the text of what was read is, as far as its last member says; `None` when this is not gzip.
    pub(super) fn said_length(&self) -> Option<usize> {
        let said = u32::from_le_bytes(*self.stored.last_chunk()?) as usize;
        (self.stored.first() == Some(&GZIP_MAGIC)).then_some(said)
    }

    /// Inflates what was read; `false` when it is not gzip, something is wrong with it, or its text is too large.
    pub(super) fn inflate(&mut self, limits: &Limits) -> bool {
        self.length = 0;
        if self.stored.first() != Some(&GZIP_MAGIC) {
            return false;
        }
        let Some(mut decompressor) = self.decompressor.take().or_else(Decompressor::new) else {
            return false;
        };
        let length = self.inflate_members(&mut decompressor, limits);
        self.decompressor = Some(decompressor);
        self.length = length.unwrap_or(0);
        length.is_some()
    }

    /// The text of the input inflated last.
    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn inflate_members(&mut self, decompressor: &mut Decompressor, limits: &Limits) -> Option<usize> {
        // Above the floor the ratio counts, which the streaming way watches.
        let watched = limits.ratio_floor_bytes.min(limits.max_text_bytes);
        let limit =
            usize::try_from(watched).map_or(limits.whole_text_bytes, |at| at.min(limits.whole_text_bytes));
        let mut at = 0;
        let mut length = 0;
        while at < self.stored.len() {
            let rest = &self.stored[at..];
            if at > 0 && rest[0] == 0 {
                at += 1;
                continue;
            }
            match decompressor.member(rest, &mut self.text[length..]) {
                Member::Whole { consumed, produced } => {
                    at += consumed;
                    length += produced;
                }
                Member::TooLarge => {
                    let size = self.larger(length, limit)?;
                    self.text.resize(size, 0);
                }
                Member::Bad => return None,
            }
        }
        Some(length)
    }

    /// A size with more room: what the last member says of itself, or else half as much again, up to the limit.
    fn larger(&self, length: usize, limit: usize) -> Option<usize> {
        let said = self.stored.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail) as usize);
        // Objects of one flow log are of about one size: a little more than the first one takes will do for the others.
        let told = length + said + said / 16;
        let wanted = if told > self.text.len() { told } else { self.text.len() + self.text.len() / 2 };
        let wanted = wanted.max(64 * 1024).min(limit);
        (wanted > self.text.len()).then_some(wanted)
    }
}
