//! The `flowcheck` command.
fn main() {}
