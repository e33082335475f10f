//! Plays the features. Arguments are those of any Rust test, and `--tags`, `--seed`; see `docs/scenarios.md`.

fn main() -> std::process::ExitCode {
    scenarios::suite::main("features")
}
