//! The platform's internal certificates: issued here, kept encrypted in one folder of the control
//! machine, stable between runs.
//!
//! What may live here: everything that touches a certificate or the site's seed. Synchronous, no
//! clock (the caller passes the time), no network.
//!
//! ```text
//! pki/
//!   ca.crt               the issuing certificate (and its chain, for an external CA), plain
//!   ca.key               its key, PKCS#8, encrypted with the operator's passphrase
//!   site.key             the site's seed as an Ed25519 key, encrypted likewise
//!   leaves/reemo_api.crt certificate of a service, with the intermediate ones
//!   leaves/reemo_api.key its key, encrypted with a password made from the seed
//!   trust                where the certificates come from, and where a change of authority stands (`trust.rs`)
//!   next.crt, next.key   the authority that a change is under way to
//! ```
//!
//! An authority without a key issues nothing: its certificates are given ([`Store::give`]).
//!
//! Only `site.key` has to be opened for a run that changes nothing: one key derivation, not thirty.

mod authority;
mod certificate;
mod error;
mod expiry;
mod folder;
mod key;
mod leaf;
mod leaves;
mod pair;
mod passphrase;
mod public;
mod random;
mod sealed;
mod seed;
mod site_ca;
mod store;
mod trust;
mod turn;

pub use error::{Kind, PkiError};
pub use expiry::{Expiry, State};
pub use leaf::{Leaf, Origin, Reason};
pub use pair::{Problem, check_far, check_pair};
pub use passphrase::Passphrase;
pub use site_ca::{Unfit, check_anchors, check_ca};
pub use store::{Given, Store};
pub use trust::{Mode, Phase, Trust, Turn, Way};
pub use turn::{NewAuthority, check_given, leads_to};

/// Days a leaf is valid: the most Apple's clients accept of a private CA.
pub const LEAF_DAYS: i64 = 824;
/// A leaf is issued anew when it has fewer than this many days left.
pub const RENEWAL_DAYS: i64 = 30;
/// Days a CA of ours is valid: ten years.
pub const CA_DAYS: i64 = 3652;
