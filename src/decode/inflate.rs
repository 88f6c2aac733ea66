//! Transparent gzip: inflates every member of a gzip stream, hands anything else through.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::Limits;

/// The first byte of a gzip member (RFC 1952); text never begins with this control character.
pub(super) const GZIP_MAGIC: u8 = 0x1f;
const READ_BYTES: usize = 128 * 1024;
/// Bytes of text between two looks at how much it is. Where it breaks off, those since the last look may be lost.
const CHECKED_BYTES: u64 = 1024 * 1024;

/// A stream that is inflated if it begins like gzip.
pub(super) struct Inflate<R: Read> {
    state: State<R>,
    limits: Limits,
    out: u64,
    trailing: Option<String>,
}

type Input<R> = BufReader<Counted<R>>;

enum State<R: Read> {
    /// Nothing read yet.
    Start(Input<R>),
    Plain(Input<R>),
    Member(Box<GzDecoder<Input<R>>>),
    /// Between two members.
    Between(Input<R>),
    End(u64),
}

impl<R: Read> Inflate<R> {
    pub(super) fn new(input: R, limits: Limits) -> Self {
        let input = BufReader::with_capacity(READ_BYTES, Counted { input, count: 0 });
        Self { state: State::Start(input), limits, out: 0, trailing: None }
    }

    /// Bytes taken from the input so far.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.state {
            State::Start(input) | State::Plain(input) | State::Between(input) => input.get_ref().count,
            State::Member(decoder) => decoder.get_ref().get_ref().count,
            State::End(count) => *count,
        }
    }

    /// What stood after the last gzip member, if it was neither another one nor padding.
    pub(super) fn trailing_garbage(&mut self) -> Option<String> {
        self.trailing.take()
    }

    fn next_member(&mut self, mut input: Input<R>) -> io::Result<State<R>> {
        // Some writers pad to a block with zeros.
        loop {
            let available = input.fill_buf()?;
            let zeros = available.iter().take_while(|byte| **byte == 0).count();
            if available.is_empty() {
                return Ok(State::End(input.get_ref().count));
            }
            if zeros == 0 {
                break;
            }
            input.consume(zeros);
        }
        if input.fill_buf()?.first() == Some(&GZIP_MAGIC) {
            return Ok(State::Member(Box::new(GzDecoder::new(input))));
        }
        self.trailing =
            Some("has bytes after the gzip stream that are not gzip; they were not read".to_owned());
        Ok(State::End(input.get_ref().count))
    }

    /// How many bytes of text may come before the limits are looked at again, which is at the same places however the
    /// text is asked for: where an input is given up does not depend on that. An error when that is now.
    fn until_check(&self, decoder: &GzDecoder<Input<R>>) -> io::Result<usize> {
        let Limits { max_text_bytes, max_ratio, ratio_floor_bytes, .. } = self.limits;
        let into_step = self.out % CHECKED_BYTES;
        let is_now = into_step == 0;
        if is_now && self.out > max_text_bytes {
            return Err(too_much(&format_args!("{max_text_bytes} bytes")));
        }
        let read = decoder.get_ref().get_ref().count.max(1);
        if is_now && self.out > ratio_floor_bytes && self.out / read > max_ratio {
            return Err(too_much(&format_args!("{max_ratio} times its size")));
        }
        Ok(usize::try_from(CHECKED_BYTES - into_step).unwrap_or(usize::MAX))
    }
}

fn too_much(than: &std::fmt::Arguments<'_>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it decompresses to more than {than}"))
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let state = std::mem::replace(&mut self.state, State::End(0));
            match state {
                State::Start(mut input) => {
                    let gzip = input.fill_buf()?.first() == Some(&GZIP_MAGIC);
                    self.state = if gzip {
                        State::Member(Box::new(GzDecoder::new(input)))
                    } else {
                        State::Plain(input)
                    };
                }
                State::Plain(mut input) => {
                    let result = input.read(buffer);
                    self.state = State::Plain(input);
                    return result;
                }
                State::Member(mut decoder) => {
                    let room = match self.until_check(&decoder) {
                        Ok(room) => room.min(buffer.len()),
                        Err(error) => {
                            self.state = State::Member(decoder);
                            return Err(error);
                        }
                    };
                    match decoder.read(&mut buffer[..room]) {
                        Ok(0) => self.state = State::Between(decoder.into_inner()),
                        Ok(count) => {
                            self.state = State::Member(decoder);
                            self.out += count as u64;
                            return Ok(count);
                        }
                        Err(error) => {
                            self.state = State::Member(decoder);
                            return Err(error);
                        }
                    }
                }
                State::Between(input) => self.state = self.next_member(input)?,
                State::End(count) => {
                    self.state = State::End(count);
                    return Ok(0);
                }
            }
        }
    }
}

/// Counts what is read.
pub(super) struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
