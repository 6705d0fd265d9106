//! What is asked of an engine's lists.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The path of a list, or of the events, with `filters` as the API wants them: JSON, percent-encoded.
pub fn filtered(list: &str, filters: &Value) -> String {
    format!("{list}?filters={}", utf8_percent_encode(&filters.to_string(), NON_ALPHANUMERIC))
}
