//! The question before what cannot be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use super::prepare::Exit;

/// Asks the operator. `--yes` answers for him; without a terminal nobody can.
pub fn confirm(yes: bool, question: &str) -> Result<(), Exit> {
    if yes {
        return Ok(());
    }
    match asked(question) {
        Some(true) => Ok(()),
        Some(false) => Err(Exit::refused("nothing was changed", "")),
        None => Err(Exit::refused(format!("{question}: nobody can be asked here"), "say --yes to do so")),
    }
}

/// Whether the answer is `yes`, the whole word; `None`: there is no terminal.
fn asked(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut err = io::stderr();
    let _ = write!(err, "{question}? Type `yes`: ");
    let _ = err.flush();
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    Some(answer.trim() == "yes")
}
