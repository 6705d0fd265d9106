//! `password_hash`: what `crypt(3)` and Ansible's passlib make of a password.

use std::sync::Arc;

use md5::{Digest, Md5};
use minijinja::{Environment, Error, Value};
use sha_crypt::{Sha256Params, Sha512Params};

use super::filter;
use super::random::{Dice, system};
use crate::secret::Secret;
use crate::template::args::{Args, refuse};
use crate::template::world::World;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    let world = Arc::clone(world);
    filter(env, names, "password_hash", "hashtype salt salt_size rounds ident", move |value, args| {
        password_hash(&value, &args, &world)
    });
}

/// A way of hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    Md5,
    Bcrypt,
    Sha256,
    Sha512,
}

impl Recipe {
    /// By Ansible's name or passlib's.
    pub fn find(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "md5" | "md5_crypt" => Recipe::Md5,
            "blowfish" | "bcrypt" => Recipe::Bcrypt,
            "sha256" | "sha256_crypt" => Recipe::Sha256,
            "sha512" | "sha512_crypt" => Recipe::Sha512,
            other => {
                return Err(refuse(format!(
                    "there is no password hash `{other}`; there are md5, blowfish, sha256, sha512"
                )));
            }
        })
    }

    /// Length of a new salt, and the longest there may be.
    fn salt_size(self) -> usize {
        match self {
            Recipe::Md5 => 8,
            Recipe::Bcrypt => 22,
            Recipe::Sha256 | Recipe::Sha512 => 16,
        }
    }
}

/// The alphabet of `crypt(3)`.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The alphabet of bcrypt, which has its own order.
const BCRYPT: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn password_hash(value: &Value, args: &Args, world: &Arc<dyn World>) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(refuse("the password is undefined"));
    }
    let recipe = Recipe::find(&args.text("hashtype")?.unwrap_or_else(|| "sha512".into()))?;
    let size = args.count("salt_size", 22)?;
    let salt = match args.text("salt")?.filter(|s| !s.is_empty()) {
        Some(salt) => salt,
        None => new_salt(recipe, size, world)?,
    };
    let rounds = args.int("rounds")?.filter(|r| *r != 0);
    let password = value.as_str().ok_or_else(|| refuse("`password_hash` takes a text; `string` makes one"))?.to_owned();
    Secret::new(password.clone());
    hash(&password, recipe, Some(&salt), rounds, args.text("ident")?.as_deref(), world).map(Value::from)
}

/// A salt from the system's random numbers.
pub(crate) fn new_salt(recipe: Recipe, size: Option<usize>, world: &Arc<dyn World>) -> Result<String, Error> {
    let mut dice = system(world)?;
    let size = size.filter(|s| *s > 0).unwrap_or(recipe.salt_size());
    if size > recipe.salt_size() || (recipe == Recipe::Bcrypt && size != 22) {
        return Err(refuse(format!("a salt of {size} characters is not possible here; {} is", recipe.salt_size())));
    }
    Ok((0..size).map(|_| char::from(ALPHABET[(dice.below(64)) as usize])).collect())
}

/// More rounds would take minutes, for every host.
const MOST: u32 = 10_000_000;

/// The hash in its usual text form.
pub(crate) fn hash(
    password: &str,
    recipe: Recipe,
    salt: Option<&str>,
    rounds: Option<i64>,
    ident: Option<&str>,
    world: &Arc<dyn World>,
) -> Result<String, Error> {
    let salt = match salt {
        Some(salt) => salt.to_owned(),
        None => new_salt(recipe, None, world)?,
    };
    if password.contains('\0') {
        return Err(refuse("the password holds a zero byte"));
    }
    if let Some(wrong) = salt.bytes().find(|b| !ALPHABET.contains(b)) {
        return Err(refuse(format!(
            "`{}` cannot be in a salt; there are letters, digits, `.` and `/`",
            char::from(wrong)
        )));
    }
    if salt.len() > recipe.salt_size() && recipe != Recipe::Bcrypt {
        return Err(refuse(format!("the salt has {} characters; {} is the most", salt.len(), recipe.salt_size())));
    }
    let rounds = |default: u32, from: u32, to: u32| {
        let Some(rounds) = rounds else { return Ok(default) };
        let fits = u32::try_from(rounds).ok().filter(|r| (from..=to).contains(r));
        fits.ok_or_else(|| refuse(format!("`rounds` must be between {from} and {to}")))
    };
    match recipe {
        Recipe::Sha512 => {
            let rounds = rounds(656_000, 1000, MOST)?;
            let params = Sha512Params::new(rounds as usize).map_err(|_| refuse("these rounds are not possible"))?;
            let bytes = sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), &params)
                .map_err(|_| refuse("the password cannot be hashed"))?;
            Ok(format!("$6${}{salt}${}", said(rounds), spread(&bytes, &SHA512, 1)))
        }
        Recipe::Sha256 => {
            let rounds = rounds(535_000, 1000, MOST)?;
            let params = Sha256Params::new(rounds as usize).map_err(|_| refuse("these rounds are not possible"))?;
            let bytes = sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), &params)
                .map_err(|_| refuse("the password cannot be hashed"))?;
            Ok(format!("$5${}{salt}${}", said(rounds), spread(&bytes, &SHA256, 2)))
        }
        Recipe::Bcrypt => bcrypt(password, &salt, rounds(12, 4, 18)?, ident.unwrap_or("2b")),
        Recipe::Md5 if rounds(0, 0, 0).is_err() => Err(refuse("md5 has no `rounds`")),
        Recipe::Md5 => Ok(format!("$1${salt}${}", spread(&md5_crypt(password.as_bytes(), salt.as_bytes()), &MD5, 1))),
    }
}

/// `rounds=N$`, left out for the number that `crypt(3)` takes by itself.
fn said(rounds: u32) -> String {
    if rounds == 5000 { String::new() } else { format!("rounds={rounds}$") }
}

/// Bytes in groups of three, in the order each method has, four characters each; the last group has what
/// is left, `tail` bytes.
fn spread(bytes: &[u8], order: &[u8], tail: usize) -> String {
    let mut out = String::new();
    let (groups, last) = order.split_at(order.len() - tail);
    let mut push = |word: u32, count: usize| {
        out.extend((0..count).map(|n| char::from(ALPHABET[(word >> (6 * n)) as usize & 63])));
    };
    let at = |n: &u8| u32::from(bytes[usize::from(*n)]);
    for three in groups.chunks_exact(3) {
        push(at(&three[0]) << 16 | at(&three[1]) << 8 | at(&three[2]), 4);
    }
    push(last.iter().fold(0, |word, n| word << 8 | at(n)), tail + 1);
    out
}

const SHA512: [u8; 64] = [
    0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30, 51, 31,
    52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19,
    62, 20, 41, 63,
];
const SHA256: [u8; 32] = [
    0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19, 29, 31,
    30,
];
const MD5: [u8; 16] = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];

fn bcrypt(password: &str, salt: &str, cost: u32, ident: &str) -> Result<String, Error> {
    if !matches!(ident, "2" | "2a" | "2y" | "2b") {
        return Err(refuse(format!("bcrypt has the variants 2, 2a, 2y and 2b, not `{ident}`")));
    }
    if salt.len() != 22 {
        return Err(refuse(format!("bcrypt needs a salt of 22 characters, not {}", salt.len())));
    }
    let index = |c: u8| BCRYPT.iter().position(|b| *b == c).unwrap_or(0) as u128;
    // 22 characters hold 132 bits; the last four belong to nothing and are written as zero.
    let mut bits = 0_u128;
    for (n, c) in salt.bytes().enumerate() {
        bits = if n == 21 { bits << 2 | index(c) >> 4 } else { bits << 6 | index(c) };
    }
    let written: String = (0..22_u32)
        .map(|n| {
            let value = if n == 21 { (bits & 3) << 4 } else { bits >> (122 - 6 * n) & 63 };
            char::from(BCRYPT[value as usize])
        })
        .collect();
    // A byte of zero ends the password in every variant but the first.
    let mut bytes = password.as_bytes().to_vec();
    if ident != "2" {
        bytes.push(0);
    }
    bytes.truncate(72);
    if bytes.is_empty() {
        return Err(refuse("an empty password has no hash of that variant"));
    }
    let hashed = bcrypt::bcrypt(cost, bits.to_be_bytes(), &bytes);
    let mut out = String::new();
    for three in hashed[..23].chunks(3) {
        let word = three.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        out.extend((0..=three.len()).map(|n| char::from(BCRYPT[(word >> (18 - 6 * n)) as usize & 63])));
    }
    Ok(format!("${ident}${cost:02}${written}{out}"))
}

fn md5_crypt(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let alternate: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut start = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for n in 0..password.len() {
        start.update([alternate[n % 16]]);
    }
    let mut length = password.len();
    while length > 0 {
        start.update([if length & 1 == 1 { 0 } else { password[0] }]);
        length >>= 1;
    }
    let mut hash: [u8; 16] = start.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        if round % 2 == 1 {
            next.update(password)
        } else {
            next.update(hash)
        }
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        if round % 2 == 1 {
            next.update(hash)
        } else {
            next.update(password)
        }
        hash = next.finalize().into();
    }
    hash
}
