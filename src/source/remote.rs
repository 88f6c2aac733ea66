//! What is read over the network, as the readers of bytes see it.

use std::fmt::Debug;
use std::io::{self, Read};

/// An input that is not on this machine.
pub trait Remote: Debug + Send + Sync {
    /// Says that it will be opened soon, in the order of these calls: fetching may begin. Never blocks.
    fn prepare(&self) {}

    /// Opens it at its beginning. Reading fails with the reason, a lowercase fragment, when it cannot be read to its
    /// end, and with [`io::ErrorKind::ConnectionAborted`] when the run is asked to end early.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}
