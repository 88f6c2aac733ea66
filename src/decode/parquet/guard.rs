//! Keeps a panic of the Parquet library inside: it takes some damage for impossible.
//!
//! A damaged file must neither end a thread nor put a trace of this program's build on somebody's terminal. Panics of
//! anything else are reported as ever.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the library; a panic is one more error. Errors are one line of at most 160 characters, as they quote what was
/// read.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    let error = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(_) => "it makes no sense".to_owned(),
    };
    Err(error.lines().next().unwrap_or_default().chars().take(160).collect())
}
