//! `lookup('password', 'path length=20 chars=digits encrypt=sha512_crypt')`, with Ansible's file format.

use std::sync::Arc;

use minijinja::{Error, Value};

use super::Question;
use crate::secret::Secret;
use crate::template::args::{items, refuse};
use crate::template::filters::crypt::{self, Recipe};
use crate::template::filters::random::{self, Dice};
use crate::template::python;
use crate::template::world::World;

/// What is asked for.
#[derive(Debug, Default)]
struct Wish {
    path: String,
    length: usize,
    chars: String,
    encrypt: Option<String>,
    ident: Option<String>,
    seed: Option<Value>,
}

/// A password with what belongs to it, as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
struct Passwords {
    /// In the clear, as Ansible keeps it.
    password: String,
    /// The salt of its hash.
    salt: Option<String>,
    /// The variant of bcrypt.
    ident: Option<String>,
}

impl Passwords {
    fn parse(text: &str) -> Self {
        let text = text.trim_end();
        let Some((password, rest)) = text.rsplit_once(" salt=") else {
            return Passwords { password: text.to_owned(), salt: None, ident: None };
        };
        let (salt, ident) = match rest.rsplit_once(" ident=") {
            Some((salt, ident)) => (salt, Some(ident.to_owned())),
            None => (rest, None),
        };
        let salt = Some(salt.to_owned()).filter(|s| !s.is_empty());
        Passwords { password: password.to_owned(), salt, ident }
    }

    fn text(&self) -> String {
        match (&self.salt, &self.ident) {
            (None, _) => self.password.clone(),
            (Some(salt), None) => format!("{} salt={salt}", self.password),
            (Some(salt), Some(ident)) => format!("{} salt={salt} ident={ident}", self.password),
        }
    }
}

pub(super) fn password(q: &Question<'_, '_, '_>) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for term in q.texts()? {
        let wish = wish(q, &term)?;
        let value = answer(&wish, q.world)?;
        Secret::new(value.clone());
        out.push(Value::from(value));
    }
    Ok(out)
}

const NAMES: [&str; 5] = ["length", "chars", "encrypt", "ident", "seed"];

fn wish(q: &Question<'_, '_, '_>, term: &str) -> Result<Wish, Error> {
    let mut wish = Wish { length: 20, ..Wish::default() };
    let mut chars: Option<Vec<String>> = Some(["ascii_letters", "digits", ".,:-_"].map(str::to_owned).to_vec());
    for name in NAMES {
        let Some(value) = q.options.get::<Option<Value>>(name)?.filter(|v| !v.is_none()) else { continue };
        match name {
            "seed" => wish.seed = Some(Value::from(python::checked_text(&value)?)),
            "chars" if value.as_str().is_none() => {
                chars = Some(items(&value)?.iter().map(python::text).collect());
            }
            _ => {
                chars = chars.filter(|_| name != "chars");
                set(&mut wish, name, &python::checked_text(&value)?)?;
            }
        }
    }
    let mut path: Vec<&str> = Vec::new();
    let mut named = false;
    for word in term.split(' ') {
        let option = word.split_once('=').filter(|(name, _)| !path.is_empty() && !name.contains('/'));
        match option {
            Some((name, value)) if NAMES.contains(&name) => {
                named = true;
                chars = if name == "chars" { None } else { chars };
                if name == "seed" {
                    wish.seed = Some(Value::from(value));
                } else {
                    set(&mut wish, name, value.trim_matches(['"', '\'']))?;
                }
            }
            Some((name, _)) => {
                return Err(refuse(format!("it has no parameter `{name}`; there are {}", NAMES.join(", "))));
            }
            None if named && !word.is_empty() => {
                return Err(refuse(format!("`{word}` stands after the parameters; a path comes first")));
            }
            None if word.is_empty() && named => {}
            None => path.push(word),
        }
    }
    wish.path = path.join(" ").trim().to_owned();
    let parts = chars.unwrap_or_else(|| {
        let mut parts: Vec<String> = Vec::new();
        if wish.chars.contains(",,") {
            parts.push(",".into());
        }
        parts.extend(wish.chars.replace(",,", ",").split(',').filter(|p| !p.is_empty()).map(str::to_owned));
        parts
    });
    wish.chars = parts.iter().map(|p| class(p)).collect::<String>().replace(['"', '\''], "");
    if wish.chars.is_empty() {
        return Err(refuse("`chars` leaves no character to choose"));
    }
    Ok(wish)
}

fn set(wish: &mut Wish, name: &str, value: &str) -> Result<(), Error> {
    match name {
        "length" => {
            let length = value.parse::<usize>().ok().filter(|n| *n <= 10_000);
            wish.length = length.ok_or_else(|| refuse(format!("`length={value}` is no number up to 10000")))?;
        }
        "chars" => value.clone_into(&mut wish.chars),
        "encrypt" => wish.encrypt = Some(value.to_owned()).filter(|v| !v.is_empty()),
        _ => wish.ident = Some(value.to_owned()).filter(|v| !v.is_empty()),
    }
    Ok(())
}

/// A name of Python's `string` module, or the characters themselves.
fn class(name: &str) -> &str {
    match name {
        "ascii_letters" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ascii_lowercase" => "abcdefghijklmnopqrstuvwxyz",
        "ascii_uppercase" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "digits" => "0123456789",
        "hexdigits" => "0123456789abcdefABCDEF",
        "octdigits" => "01234567",
        "punctuation" => "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "whitespace" => " \t\n\r\x0b\x0c",
        other => other,
    }
}

fn generate(wish: &Wish, world: &Arc<dyn World>) -> Result<String, Error> {
    let chars: Vec<char> = wish.chars.chars().collect();
    let mut dice: Box<dyn Dice> = match &wish.seed {
        Some(seed) => Box::new(random::seeded(seed)?),
        None => Box::new(random::system(world)?),
    };
    let one = |_| chars[usize::try_from(dice.below(chars.len() as u64)).unwrap_or(0)];
    Ok((0..wish.length).map(one).collect())
}

fn answer(wish: &Wish, world: &Arc<dyn World>) -> Result<String, Error> {
    let nowhere = wish.path == "/dev/null";
    let path = world.candidates(&wish.path, None).into_iter().next();
    let path = path.ok_or_else(|| refuse("a path is needed"))?;
    let kept = if nowhere { None } else { world.read(&path).map_err(refuse)? };
    let kept = match kept {
        Some(bytes) => Some(String::from_utf8(bytes).map_err(|_| refuse("the password file is no UTF-8 text"))?),
        None => None,
    };
    let (mut found, mut changed) = match &kept {
        Some(text) => (Passwords::parse(text), false),
        None => (Passwords { password: generate(wish, world)?, salt: None, ident: None }, true),
    };
    if let Some(method) = &wish.encrypt {
        let recipe = Recipe::find(method)?;
        if found.salt.is_none() {
            changed = true;
            found.salt = Some(crypt::new_salt(recipe, None, world)?);
        }
        match (&found.ident, &wish.ident) {
            (None, Some(ident)) => found.ident = Some(ident.clone()),
            (Some(kept), Some(wanted)) if kept != wanted => {
                return Err(refuse(format!("`ident={wanted}` was asked for, and the file says `{kept}`")));
            }
            (None, None) if recipe == Recipe::Bcrypt => {
                changed = true;
                found.ident = Some("2b".into());
            }
            _ => {}
        }
    }
    if changed && !nowhere {
        let text = world.keep(&path, &format!("{}\n", found.text()), kept.is_some()).map_err(refuse)?;
        // Somebody else may have been first: theirs counts.
        found = Passwords::parse(&text);
    }
    match &wish.encrypt {
        None => Ok(found.password),
        Some(method) => {
            Secret::new(found.password.clone());
            crypt::hash(
                &found.password,
                Recipe::find(method)?,
                found.salt.as_deref(),
                None,
                found.ident.as_deref(),
                world,
            )
        }
    }
}
