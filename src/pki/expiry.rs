//! When what is in the store ends.

use jiff::Timestamp;

use crate::RENEWAL_DAYS;
use crate::authority::days_after;
use crate::certificate::Certificate;

/// One certificate of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// `ca`, `ca-next` (the one that a change is under way to), or the name of the service.
    pub name: String,
    /// Common name.
    pub subject: String,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Whole days left; negative once it has ended.
    pub days_left: i64,
    /// What that means.
    pub state: State,
}

/// What the end of a certificate means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing to do.
    Valid,
    /// In the renewal window: the next apply issues another (a CA has to be rotated).
    Due,
    /// Ended: peers refuse it.
    Expired,
}

impl Expiry {
    /// The end of a certificate of the site's own, the first of a PEM text; `None`: it holds none. Renewing it takes people,
    /// so it is due as early as ours.
    pub fn of_pem(name: &str, pem: &[u8], now: Timestamp) -> Option<Expiry> {
        let chain = Certificate::all_from_pem(pem)?;
        let first = chain.first()?;
        Some(Expiry::of(name, &first.subject_name, first.not_after, Expiry::LEAF_WINDOW_DAYS, now))
    }

    pub(crate) fn of(name: &str, subject: &str, not_after: Timestamp, window_days: i64, now: Timestamp) -> Expiry {
        let seconds = not_after.as_second() - now.as_second();
        let state = match () {
            () if seconds <= 0 => State::Expired,
            () if days_after(now, window_days) >= not_after => State::Due,
            () => State::Valid,
        };
        Expiry {
            name: name.to_owned(),
            subject: subject.to_owned(),
            not_after,
            days_left: seconds.div_euclid(86_400),
            state,
        }
    }

    /// The window of a CA: one whole leaf's life before its end, leaves begin to be cut short.
    pub(crate) const CA_WINDOW_DAYS: i64 = crate::LEAF_DAYS;
    /// The window of a leaf.
    pub(crate) const LEAF_WINDOW_DAYS: i64 = RENEWAL_DAYS;
}
