//! How long the reading and writing of a message takes.

fn main() {}
