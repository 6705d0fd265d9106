//! `random` and `shuffle`: with a seed, the numbers Python's `random.Random` gives.

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};
use sha2::Digest;

use super::filter;
use crate::template::args::{Args, integer, items, refuse};
use crate::template::world::World;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    let one = Arc::clone(world);
    filter(env, names, "random", "start step seed", move |value, args| random(&value, &args, &one));
    let one = Arc::clone(world);
    filter(env, names, "shuffle", "seed", move |value, args| shuffle(&value, &args, &one));
}

/// A source of numbers.
pub(crate) trait Dice {
    /// So many bits, up to 64.
    fn bits(&mut self, count: u32) -> u64;

    /// A number from 0 up to, not including, `limit`, as Python's `_randbelow` draws it.
    fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 {
            return 0;
        }
        let count = 64 - limit.leading_zeros();
        loop {
            let drawn = self.bits(count);
            if drawn < limit {
                return drawn;
            }
        }
    }
}

/// The system's random numbers.
pub(crate) struct SystemDice {
    world: Arc<dyn World>,
    buffer: Vec<u8>,
}

/// A source from the system; refused where there is none.
pub(crate) fn system(world: &Arc<dyn World>) -> Result<SystemDice, Error> {
    let mut buffer = vec![0; 64];
    world.random(&mut buffer).map_err(refuse)?;
    Ok(SystemDice { world: Arc::clone(world), buffer })
}

impl Dice for SystemDice {
    fn bits(&mut self, count: u32) -> u64 {
        if self.buffer.len() < 8 {
            let mut more = vec![0; 64];
            // It worked when this was made; a source that fails since then repeats nothing: zero bits end
            // up below every limit, and the length stays right.
            if self.world.random(&mut more).is_ok() {
                self.buffer = more;
            }
        }
        let taken = self.buffer.len().saturating_sub(8);
        let drawn = self.buffer.split_off(taken).iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
        if count >= 64 { drawn } else { drawn >> (64 - count) }
    }
}

/// The Mersenne Twister MT19937.
pub(crate) struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    fn plain(seed: u32) -> Self {
        let mut state = [0; 624];
        state[0] = seed;
        for i in 1..624 {
            let last: u32 = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Twister { state, at: 624 }
    }

    /// From the words of a number, the lowest first.
    fn new(key: &[u32]) -> Self {
        let mut twister = Self::plain(19_650_218);
        let state = &mut twister.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..key.len().max(624) {
            let last = state[i - 1];
            state[i] =
                (state[i] ^ (last ^ (last >> 30)).wrapping_mul(1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            i += 1;
            j = (j + 1) % key.len();
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
        }
        for _ in 0..623 {
            let last = state[i - 1];
            state[i] = (state[i] ^ (last ^ (last >> 30)).wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i += 1;
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        twister
    }

    fn word(&mut self) -> u32 {
        if self.at >= 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }
}

impl Dice for Twister {
    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.word() >> (32 - count.max(1)));
        }
        let low = u64::from(self.word());
        let high = u64::from(self.word() >> (64 - count.min(64)));
        low | (high << 32)
    }
}

/// Python's generator for a seed: a whole number or a text.
pub(crate) fn seeded(seed: &Value) -> Result<Twister, Error> {
    if let Some(text) = seed.as_str() {
        // As `random.seed` of version 2: the text and its SHA-512 are one large number.
        let mut bytes = text.as_bytes().to_vec();
        let hash = sha2::Sha512::digest(&bytes);
        bytes.extend_from_slice(&hash);
        let mut words: Vec<u32> =
            bytes.rchunks(4).map(|four| four.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))).collect();
        while words.len() > 1 && words.last() == Some(&0) {
            words.pop();
        }
        return Ok(Twister::new(&words));
    }
    let number = match seed.kind() {
        ValueKind::Bool => u128::from(seed.is_true()),
        ValueKind::Number if seed.is_integer() => {
            i128::try_from(seed.clone()).map_err(|_| refuse("the seed is too large"))?.unsigned_abs()
        }
        _ => return Err(refuse("a seed is a text or a whole number")),
    };
    let mut words = vec![number as u32];
    let mut rest = number >> 32;
    while rest > 0 {
        words.push(rest as u32);
        rest >>= 32;
    }
    Ok(Twister::new(&words))
}

fn random(value: &Value, args: &Args, world: &Arc<dyn World>) -> Result<Value, Error> {
    let mut dice: Box<dyn Dice> = match args.get("seed") {
        Some(seed) => Box::new(seeded(seed)?),
        None => Box::new(system(world)?),
    };
    if let Some(end) = integer(value) {
        let (start, step) = (args.int("start")?.unwrap_or(0), args.int("step")?.unwrap_or(1));
        let step = if step == 0 { 1 } else { step };
        let width = i128::from(end) - i128::from(start);
        let count = if step > 0 {
            (width + i128::from(step) - 1) / i128::from(step)
        } else {
            (width + i128::from(step) + 1) / i128::from(step)
        };
        let count = u64::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err(refuse(format!("there is no number from {start} up to {end}")));
        }
        return Ok(Value::from(start.wrapping_add(step.wrapping_mul(dice.below(count) as i64))));
    }
    if args.flag("start") || args.flag("step") {
        return Err(refuse("`start` and `step` of `random` are for whole numbers"));
    }
    let list: Vec<Value> = match value.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) => items(value)?,
        None => return Err(refuse("`random` takes a list or a whole number")),
    };
    if list.is_empty() {
        return Err(refuse("the list is empty"));
    }
    let at = usize::try_from(dice.below(list.len() as u64)).unwrap_or(0);
    Ok(list[at].clone())
}

fn shuffle(value: &Value, args: &Args, world: &Arc<dyn World>) -> Result<Value, Error> {
    let mut list: Vec<Value> = match value.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) => items(value)?,
        None => return Ok(value.clone()),
    };
    // An empty or zero seed counts as none, as in Ansible.
    let mut dice: Box<dyn Dice> = match args.get("seed").filter(|s| s.is_true()) {
        Some(seed) => Box::new(seeded(seed)?),
        None => Box::new(system(world)?),
    };
    for i in (1..list.len()).rev() {
        let j = usize::try_from(dice.below(i as u64 + 1)).unwrap_or(0);
        list.swap(i, j);
    }
    Ok(Value::from(list))
}

#[cfg(test)]
mod tests {
    use super::{Dice, Value, seeded};

    /// `[Random(seed).getrandbits(32) for …]` of CPython 3.11.
    #[test]
    fn numbers_of_cpython() {
        let three = |seed: Value| {
            let mut dice = seeded(&seed).unwrap();
            [dice.bits(32), dice.bits(32), dice.bits(64)]
        };
        assert_eq!(three(Value::from(0)), ZERO);
        assert_eq!(three(Value::from(-(1_i64 << 40))), FORTY);
        assert_eq!(three(Value::from("web1")), TEXT);
    }

    const ZERO: [u64; 3] = [3_626_764_237, 1_654_615_998, 16_422_101_724_900_707_500];
    const FORTY: [u64; 3] = [445_128_065, 1_517_081_360, 1_211_305_540_562_029_739];
    const TEXT: [u64; 3] = [3_523_823_858, 1_405_243_075, 14_136_439_927_358_943_976];
}
