//! The binary. Everything is in the library.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    load_tests::main()
}
