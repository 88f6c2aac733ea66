//! One gzip member at a time with libdeflate, which inflates whole buffers two to three times as fast as a streaming
//! inflater can; and gzip's checksum.
//!
//! The unsafe code: the calls into it. The safe binding cannot say how many bytes a member took, without which a second
//! member (AWS does write them) would be lost in silence. A property test holds it equal to the streaming way.

#![expect(unsafe_code, reason = "calls into libdeflate; every pointer comes from a slice with its length")]

use std::ptr::NonNull;

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_crc32, libdeflate_decompressor, libdeflate_free_decompressor,
    libdeflate_gzip_decompress_ex, libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE as INSUFFICIENT_SPACE,
    libdeflate_result_LIBDEFLATE_SUCCESS as SUCCESS,
};

/// The checksum of gzip (RFC 1952, 8) of some bytes that follow those with this checksum; that of none is 0.
pub(super) fn crc32(before: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the buffer is valid for its length, and is only read.
    unsafe { libdeflate_crc32(before, bytes.as_ptr().cast(), bytes.len()) }
}

/// libdeflate's tables, to be used again and again.
pub(super) struct Decompressor(NonNull<libdeflate_decompressor>);

// SAFETY: the tables belong to this value alone and libdeflate keeps no thread-local state (libdeflate.h).
unsafe impl Send for Decompressor {}

/// What became of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// Inflated, its checksum right.
    Whole {
        /// Bytes of input that it took, with header and trailer.
        consumed: usize,
        /// Bytes of output.
        produced: usize,
    },
    /// The output does not fit.
    TooLarge,
    /// Damaged or cut off.
    Bad,
}

impl Decompressor {
    /// `None` when there is no memory for the tables.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: takes nothing; gives null or a decompressor that is ours.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Inflates the gzip member at the beginning of `input` into the beginning of `output`.
    pub(super) fn member(&mut self, input: &[u8], output: &mut [u8]) -> Member {
        let (mut consumed, mut produced) = (0, 0);
        // SAFETY: the decompressor is alive and ours alone (`&mut self`); both buffers are valid for their lengths,
        // which are handed over with them, and libdeflate reads and writes only within these lengths.
        let result = unsafe {
            libdeflate_gzip_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut consumed,
                &raw mut produced,
            )
        };
        match result {
            SUCCESS => Member::Whole { consumed, produced },
            INSUFFICIENT_SPACE => Member::TooLarge,
            _ => Member::Bad,
        }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: it came from `libdeflate_alloc_decompressor` and is freed once.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}
