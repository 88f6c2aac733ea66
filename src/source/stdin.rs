//! What may never end, standard input or a pipe, read by a thread of its own: whoever waits for it can be asked to stop.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::Stop;

/// Bytes read at once, and pieces that may wait: 1 MiB in all.
const PIECE_BYTES: usize = 128 * 1024;
const PIECES_AHEAD: usize = 8;

/// How often a request to stop is looked for while nothing arrives.
const TICK: Duration = Duration::from_millis(100);

/// The reading end.
pub(super) struct Stdin {
    pieces: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
    stop: Stop,
}

impl Stdin {
    /// Starts to read what `open` gives, which is never read by anybody else from then on.
    pub(super) fn start<R: Read>(open: impl FnOnce() -> io::Result<R> + Send + 'static, stop: Stop) -> Self {
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        // Neither a read can be called off nor the wait for a pipe's writer: the thread is left to end with its input,
        // or with the process.
        std::thread::spawn(move || {
            let mut input = match open() {
                Ok(input) => input,
                Err(error) => {
                    // Nobody is left to be told when the run ended meanwhile.
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = match input.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => {
                        piece.truncate(count);
                        Ok(piece)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    break;
                }
            }
        });
        Self { pieces, current: Vec::new(), at: 0, stop }
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            if self.stop.is_requested() {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the run was interrupted"));
            }
            match self.pieces.recv_timeout(TICK) {
                Ok(piece) => (self.current, self.at) = (piece?, 0),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let rest = &self.current[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes, then never ends.
    struct Endless(Vec<u8>);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                loop {
                    std::thread::park();
                }
            }
            let count = self.0.len().min(buffer.len()).min(7);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    #[test]
    fn all_that_came_is_read_and_a_stop_ends_the_wait_for_more() {
        let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let (mut whole, copy) = (Vec::new(), text.clone());
        Stdin::start(|| Ok(io::Cursor::new(copy)), Stop::default())
            .read_to_end(&mut whole)
            .expect("all of it");
        assert!(whole == text);

        let stop = Stop::default();
        let mut input = Stdin::start(|| Ok(Endless(b"some bytes".to_vec())), stop.clone());
        let mut some = [0; 10];
        input.read_exact(&mut some).expect("what came");
        stop.request();
        let error = input.read(&mut some).expect_err("a stop");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
