//! How memory that was given back is kept for what comes.

/// Bytes beyond which the C library would give memory back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: std::ffi::c_int = 1 << 30;

/// Bytes from which a piece of memory is a mapping of its own, which goes back to the system at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: std::ffi::c_int = 4 << 20;

/// Has freed memory wait for what is allocated next instead of going back to the system piece by piece. For the end of a run,
/// when the process gives back all of it at once soon after: before that, pieces that nothing fits into would add up to half
/// as much memory again.
///
/// It does nothing where the C library is not glibc (`mallopt(3)`).
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "a C function; it takes two numbers and gives back whether they are allowed"
    )]
    // SAFETY: `mallopt` may be called at any time by any thread; it touches nothing of ours.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}
