//! Hardware addresses.

use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::refuse;
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    for name in ["hwaddr", "macaddr"] {
        filter(env, names, name, "query", move |value, args| {
            let query = args.text("query")?.unwrap_or_default();
            show(&python::checked_text(&value)?, &query, name)
        });
    }
}

/// Six bytes, in any of the usual spellings.
pub(super) fn parse(text: &str) -> Option<[u8; 6]> {
    let groups: Vec<&str> = text.split([':', '-', '.']).collect();
    let width = match groups.len() {
        1 => 12,
        2 => 6,
        3 => 4,
        6 => 2,
        _ => return None,
    };
    let mut digits = String::new();
    for group in &groups {
        let short = groups.len() > 1 && (1..=width).contains(&group.len());
        if !(group.len() == width || short) || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        digits.push_str(&format!("{group:0>width$}"));
    }
    let number = u64::from_str_radix(&digits, 16).ok()?;
    let [_, _, bytes @ ..] = number.to_be_bytes();
    Some(bytes)
}

fn show(text: &str, query: &str, name: &str) -> Result<Value, Error> {
    let Some(mac) = parse(text) else {
        return match query {
            "bool" => Ok(Value::from(())),
            "" if name == "hwaddr" => Ok(Value::from(())),
            "" => Ok(Value::from(())),
            _ => Err(refuse(format!("`{text}` is no hardware address"))),
        };
    };
    let joined = |width: usize, mark: &str, upper: bool| {
        let digits: String = mac.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect();
        let groups: Vec<&str> = (0..digits.len()).step_by(width).filter_map(|at| digits.get(at..at + width)).collect();
        groups.join(mark)
    };
    let out = match query {
        "" => text.to_owned(),
        "bool" => return Ok(Value::from(true)),
        "bare" => joined(12, "", true),
        "cisco" => joined(4, ".", false),
        "eui48" | "win" => joined(2, "-", true),
        "linux" => joined(2, ":", false),
        "unix" => mac.map(|b| format!("{b:x}")).join(":"),
        "pgsql" | "postgresql" | "psql" => joined(6, ":", false),
        "int" => {
            let number = mac.iter().fold(0_i64, |all, b| all << 8 | i64::from(*b));
            return Ok(Value::from(number));
        }
        other => {
            return Err(refuse(format!(
                "`{name}` cannot be asked for `{other}`; there are bare, bool, int, cisco, eui48, linux, pgsql, unix, win"
            )));
        }
    };
    Ok(Value::from(out))
}
