//! The Trunkline binary.
fn main() {}
