//! Vaults that were mutated by a fixed generator: there is always an answer, and never another plain text
//! than the one that was encrypted. `REEMO_FUZZ_ROUNDS` makes it longer.

#[path = "common/dice.rs"]
mod dice;

use dice::Dice;
use reemo_model::secret::Secret;
use reemo_model::vault::{self, Password, SALT_LENGTH, Vault};

const PLAIN: &str = "what was encrypted, over more than one block";

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const SPICE: [&str; 10] =
        ["\n", "\r\n", ";", " ", "0", "a0", "F", "\u{feff}", "$ANSIBLE_VAULT;1.2;AES256;x\n", "é"];
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(90)).min(bytes.len());
    match dice.below(6) {
        0 => drop(bytes.splice(at..at, SPICE[dice.below(SPICE.len())].bytes())),
        1 if at < bytes.len() => bytes[at] = dice.next() as u8,
        2 if at < bytes.len() => bytes[at] = b"0123456789abcdefABCDEF\n"[dice.below(23)],
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ => drop(bytes.drain(at..end)),
    }
}

#[test]
fn mutated_vaults_never_panic_and_never_lie() {
    let rounds: usize = std::env::var("REEMO_FUZZ_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(20_000);
    let mut dice = Dice(0x5eed);
    let salt = [5; SALT_LENGTH];
    let good = vault::seal(PLAIN.as_bytes(), b"password", &salt, Some("dev"));
    let whole = vault::parse(good.as_bytes()).unwrap();
    let vault = Vault::new(vec![Password { label: "dev".into(), secret: Secret::unregistered("password") }]);
    let (mut damaged, mut opened, mut closed) = (0, 0, 0);
    for _ in 0..rounds {
        let mut bytes = good.clone().into_bytes();
        (0..=dice.below(3)).for_each(|_| mutate(&mut bytes, &mut dice));
        let lines = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() + 1;
        match vault::parse(&bytes) {
            Err(damage) => {
                assert!((1..=lines + 1).contains(&(damage.line as usize)) && damage.column > 0, "{damage:?}");
                damaged += 1;
            }
            // Another salt needs other keys, which take long: it would not open.
            Ok(envelope) if envelope.salt != whole.salt => {}
            Ok(_) => match vault.open(&bytes) {
                Ok(found) => {
                    assert_eq!(found.plain.as_slice(), PLAIN.as_bytes(), "{}", String::from_utf8_lossy(&bytes));
                    opened += 1;
                }
                Err(_) => closed += 1,
            },
        }
    }
    // The generator reaches all of it: other line ends or labels still open.
    assert!(damaged > rounds / 2 && opened > rounds / 200 && closed > rounds / 200, "{damaged} {opened} {closed}");
}
