//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use reemo_infra::cli::{self, args::Cli};

/// A wrong command line (clap's own code, 2, means a failed host here).
const USAGE: u8 = 5;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            let fine = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if fine { 0 } else { USAGE });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    ExitCode::from(runtime.block_on(cli::main(cli)))
}
