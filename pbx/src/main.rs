//! The program `pbx`.

fn main() {}
