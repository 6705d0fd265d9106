//! Filters to and from JSON, YAML and base64.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::{Args, refuse};
use crate::template::{json, python, yaml_dump};
use crate::yaml;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    const JSON: &str = "indent sort_keys ensure_ascii separators skipkeys profile vault_to_text preprocess_unsafe";
    filter(env, names, "to_json", JSON, |value, args| to_json(&value, &args, None, false));
    filter(env, names, "to_nice_json", JSON, |value, args| to_json(&value, &args, Some(4), true));
    filter(env, names, "from_json", "profile", |value, _| from_json(&value));
    const YAML: &str =
        "indent width sort_keys default_flow_style default_style explicit_start explicit_end vault_behavior";
    filter(env, names, "to_yaml", YAML, |value, args| to_yaml(&value, &args, 2, None));
    filter(env, names, "to_nice_yaml", YAML, |value, args| to_yaml(&value, &args, 4, Some(false)));
    filter(env, names, "from_yaml", "", |value, _| from_yaml(&value));
    filter(env, names, "from_yaml_all", "", |value, _| from_yaml_all(&value));
    filter(env, names, "b64encode", "encoding urlsafe", |value, args| b64encode(&value, &args));
    filter(env, names, "b64decode", "encoding urlsafe", |value, args| b64decode(&value, &args));
}

/// Fails with what stands inside a value that could not be evaluated.
fn checked(value: &Value, bare_keys: bool) -> Result<serde_json::Value, Error> {
    python::defined(value, 0)?;
    Ok(crate::template::plain::json(value, bare_keys, 0))
}

fn to_json(value: &Value, args: &Args, indent: Option<usize>, sort: bool) -> Result<Value, Error> {
    let indent = match args.given("indent") {
        None => indent,
        Some(value) if value.is_none() => None,
        Some(value) => match value.as_str() {
            Some(text) if text.chars().all(|c| c == ' ') => Some(text.len()),
            Some(_) => return Err(refuse("`indent` is a number of spaces here")),
            None => args.count("indent", 100)?,
        },
    };
    if args.given("separators").is_some() {
        return Err(refuse("`separators` of `to_json` does not exist here"));
    }
    let style = json::Style {
        indent,
        sort: args.given("sort_keys").map_or(sort, Value::is_true),
        ascii: args.given("ensure_ascii").is_none_or(Value::is_true),
    };
    Ok(Value::from(json::dump(&checked(value, false)?, style)))
}

fn from_json(value: &Value) -> Result<Value, Error> {
    let text = value.as_str().ok_or_else(|| refuse("`from_json` takes a text"))?;
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| refuse(format!("this is no JSON: {e}")))?;
    Ok(crate::template::from_json(&value))
}

fn to_yaml(value: &Value, args: &Args, indent: usize, flow: Option<bool>) -> Result<Value, Error> {
    for name in ["default_style", "explicit_end"] {
        if args.flag(name) {
            return Err(refuse(format!("`{name}` of `to_yaml` does not exist here")));
        }
    }
    let flow = match args.given("default_flow_style") {
        Some(value) if value.is_none() => None,
        Some(value) => Some(value.is_true()),
        None => flow,
    };
    let indent = args.int("indent")?.map_or(indent, |n| usize::try_from(n).unwrap_or(0));
    let width = args.given("width").and_then(crate::template::args::number).unwrap_or(80.0);
    let style = yaml_dump::Style {
        // PyYAML takes no other number seriously.
        indent: if (2..10).contains(&indent) { indent } else { 2 },
        width: if width > indent as f64 * 2.0 { width.min(1e15) as usize } else { 80 },
        sort: args.given("sort_keys").is_none_or(Value::is_true),
        flow,
        unicode: true,
    };
    let start = if args.flag("explicit_start") { "---\n" } else { "" };
    Ok(Value::from(format!("{start}{}", yaml_dump::dump(&checked(value, true)?, style))))
}

fn from_yaml(value: &Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    let node = yaml::parse_str(text).map_err(|e| refuse(format!("this is no YAML: {}", e.message)))?;
    Ok(crate::template::scope_plain(&node))
}

fn from_yaml_all(value: &Value) -> Result<Value, Error> {
    if value.is_none() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    let mut documents: Vec<String> = vec![String::new()];
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let mark = line.trim_end();
        let rest = mark.strip_prefix("---").filter(|r| r.is_empty() || r.starts_with(' '));
        if rest.is_some() && begun {
            documents.push(String::new());
        }
        begun |= !mark.is_empty() && !mark.starts_with('#');
        if let Some(last) = documents.last_mut() {
            last.push_str(line);
        }
    }
    if !begun {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    let all = documents.iter().map(|d| from_yaml(&Value::from(d.as_str()))).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(all))
}

fn engine(args: &Args) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let urlsafe = args.flag("urlsafe");
    GeneralPurpose::new(if urlsafe { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD }, config)
}

/// How text becomes bytes.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    Utf16 { little: bool },
}

fn encoding(args: &Args) -> Result<Encoding, Error> {
    let name = args.text("encoding")?.unwrap_or_else(|| "utf-8".into());
    Ok(match name.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" => Encoding::Utf8,
        "ascii" | "us-ascii" => Encoding::Ascii,
        "latin-1" | "latin1" | "iso-8859-1" => Encoding::Latin1,
        "utf-16-le" | "utf-16le" => Encoding::Utf16 { little: true },
        "utf-16-be" | "utf-16be" => Encoding::Utf16 { little: false },
        _ => {
            return Err(refuse(format!(
                "the encoding `{name}` does not exist here; there are utf-8, ascii, latin-1, utf-16-le, utf-16-be"
            )));
        }
    })
}

fn b64encode(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let single = |most: u32| -> Result<Vec<u8>, Error> {
        let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|b| u32::from(*b) <= most);
        text.chars().map(|c| byte(c).ok_or_else(|| refuse(format!("`{c}` is not in that encoding")))).collect()
    };
    let bytes = match encoding(args)? {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Ascii => single(0x7f)?,
        Encoding::Latin1 => single(0xff)?,
        Encoding::Utf16 { little } => {
            text.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
        }
    };
    Ok(Value::from(engine(args).encode(bytes)))
}

fn b64decode(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    // Python passes over what is not of the alphabet.
    let extra = if args.flag("urlsafe") { "-_" } else { "+/" };
    let bare: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '=' || extra.contains(*c)).collect();
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if args.flag("urlsafe") { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
    let bytes = GeneralPurpose::new(alphabet, config).decode(bare).map_err(|_| refuse("this is no valid base64"))?;
    let text = match encoding(args)? {
        Encoding::Utf8 | Encoding::Ascii => String::from_utf8(bytes).ok(),
        Encoding::Latin1 => Some(bytes.iter().map(|b| char::from(*b)).collect()),
        Encoding::Utf16 { little } => {
            let pair = |p: &[u8]| {
                let two = [p[0], p[1]];
                if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) }
            };
            let units: Vec<u16> = bytes.chunks_exact(2).map(pair).collect();
            String::from_utf16(&units).ok().filter(|_| bytes.len() % 2 == 0)
        }
    };
    text.map(Value::from).ok_or_else(|| refuse("the decoded bytes are no text of that encoding"))
}
