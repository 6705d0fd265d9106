//! One scalar: which styles it permits, and how its characters are written.

use std::fmt::Write;

use serde_json::Value as Json;

/// What a text permits.
pub(super) struct Analysis {
    pub plain_block: bool,
    pub plain_flow: bool,
    pub single: bool,
    pub multiline: bool,
}

pub(super) fn printable(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && c != '\u{feff}'
}

pub(super) fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let mut out = String::new();
            let code = u32::from(c);
            let _ = match code {
                0..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return out;
        }
    };
    format!("\\{short}")
}

pub(super) fn bare(value: &Json) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => {
                let text = crate::yaml::python_float(float);
                // YAML 1.1 wants a point before an exponent.
                if !text.contains('.') && text.contains('e') { text.replacen('e', ".0e", 1) } else { text }
            }
            _ => number.to_string(),
        },
        Json::String(text) => match text.strip_prefix(crate::yaml::BARE) {
            Some("Infinity") => ".inf".into(),
            Some("-Infinity") => "-.inf".into(),
            Some("NaN") => ".nan".into(),
            Some(bare) => bare.to_owned(),
            None => text.clone(),
        },
        _ => String::new(),
    }
}

/// PyYAML's `analyze_scalar`.
pub(super) fn analyze(text: &str, unicode: bool) -> Analysis {
    if text.is_empty() {
        return Analysis { plain_block: false, plain_flow: false, single: true, multiline: false };
    }
    let chars: Vec<char> = text.chars().collect();
    let space = |c: Option<&char>| {
        c.is_none_or(|c| matches!(c, '\0' | ' ' | '\t' | '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}'))
    };
    let is_break = |c: char| matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let (mut block, mut flow) = (text.starts_with("---") || text.starts_with("..."), false);
    flow |= block;
    let (mut breaks, mut special) = (false, false);
    let (mut lead_space, mut lead_break, mut trail_space, mut trail_break) = (false, false, false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut was_space, mut was_break) = (false, false);
    let mut preceded = true;
    for (at, c) in chars.iter().copied().enumerate() {
        let followed = space(chars.get(at + 1));
        if at == 0 {
            if "#,[]{}&*!|>'\"%@`".contains(c) {
                (flow, block) = (true, true);
            }
            if "?:".contains(c) {
                flow = true;
                block |= followed;
            }
            if c == '-' && followed {
                (flow, block) = (true, true);
            }
        } else {
            if ",?[]{}".contains(c) {
                flow = true;
            }
            if c == ':' {
                flow = true;
                block |= followed;
            }
            if c == '#' && preceded {
                (flow, block) = (true, true);
            }
        }
        breaks |= is_break(c);
        if !(c == '\n' || (' '..='~').contains(&c) || printable(c) && unicode) {
            special = true;
        }
        if c == ' ' {
            lead_space |= at == 0;
            trail_space |= at + 1 == chars.len();
            break_space |= was_break;
            (was_space, was_break) = (true, false);
        } else if is_break(c) {
            lead_break |= at == 0;
            trail_break |= at + 1 == chars.len();
            space_break |= was_space;
            (was_space, was_break) = (false, true);
        } else {
            (was_space, was_break) = (false, false);
        }
        preceded = space(Some(&c));
    }
    let edges = lead_space || lead_break || trail_space || trail_break;
    let mut found =
        Analysis { plain_block: !edges && !block, plain_flow: !edges && !flow, single: true, multiline: breaks };
    if break_space {
        (found.plain_block, found.plain_flow, found.single) = (false, false, false);
    }
    if space_break || special {
        (found.plain_block, found.plain_flow, found.single) = (false, false, false);
    }
    if breaks {
        (found.plain_block, found.plain_flow) = (false, false);
    }
    found
}
