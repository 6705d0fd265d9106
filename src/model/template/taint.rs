//! Values computed from a vault are as secret as what they were computed from.

use std::cell::Cell;

thread_local! {
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
}

/// Notes that a value from a vault is used in what is being evaluated.
pub(super) fn touch() {
    TOUCHED.set(true);
}

/// Evaluates, and tells whether a value from a vault was used for it.
pub(super) fn watch<T>(evaluate: impl FnOnce() -> T) -> (T, bool) {
    let outer = TOUCHED.replace(false);
    let out = evaluate();
    let touched = TOUCHED.get();
    TOUCHED.set(outer || touched);
    (out, touched)
}
