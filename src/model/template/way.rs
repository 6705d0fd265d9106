//! The way from variable to variable on this thread: what finds cycles.

use std::cell::RefCell;

use super::error::{TemplateError, Trouble};

/// Deepest way from variable to variable.
const DEEPEST: usize = 40;

thread_local! {
    /// What is being evaluated on this thread: where the node stands in memory, and its name.
    static WAY: RefCell<Vec<(usize, String)>> = const { RefCell::new(Vec::new()) };
}

/// Takes its step off the way again, whatever happens.
pub(super) struct Step;

impl Drop for Step {
    fn drop(&mut self) {
        WAY.with_borrow_mut(|way| {
            way.pop();
        });
    }
}

/// Steps onto a node; a node that is already on the way is a cycle.
pub(super) fn step(identity: usize, name: &str) -> Result<Step, TemplateError> {
    WAY.with_borrow_mut(|way| {
        if let Some(at) = way.iter().position(|(i, _)| *i == identity) {
            let mut names: Vec<String> =
                way.iter().skip(at).map(|(_, n)| n.clone()).filter(|n| !n.is_empty()).collect();
            names.push(names.first().cloned().unwrap_or_else(|| name.to_owned()));
            let message = format!("variables need each other: {}", names.join(" → "));
            let mut error = TemplateError::new(Trouble::Cycle, message);
            error.help = Some("give one of them a value of its own".into());
            return Err(error);
        }
        if way.len() >= DEEPEST {
            return Err(TemplateError::new(
                Trouble::Other,
                format!("variables refer to variables more than {DEEPEST} deep"),
            ));
        }
        way.push((identity, name.to_owned()));
        Ok(Step)
    })
}
