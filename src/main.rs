//! Parse, run, exit code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use reemo_infra::cli::{self, args::Cli};

/// A wrong command line (clap's own code, 2, means a failed host here).
const USAGE: u8 = 5;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    if let Some(exit) = cli::pasted::recognise(&words) {
        return ExitCode::from(cli::report(&exit));
    }
    let matches = Cli::command().try_get_matches();
    let cli = match matches.and_then(|m| Ok((Cli::from_arg_matches(&m)?, m))) {
        Ok((mut cli, matches)) => {
            cli::config::settle(&mut cli, &matches, cli::config::read());
            cli
        }
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
    let argv = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let code = runtime.block_on(cli::main(cli, argv));
    // After a second ^C nobody waits for a name that does not resolve.
    runtime.shutdown_background();
    ExitCode::from(code)
}
