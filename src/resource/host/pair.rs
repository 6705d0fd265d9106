//! A certificate and its key that lie on the host already: looked at where they are, and copied to where the service
//! reads them. The key goes nowhere else; what is told of it is a checksum of its file, and its public half.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::{Exec, Op};
use reemo_model::quote::sh_quote;
use reemo_model::secret::PLACEHOLDER;

use super::change::{refused, unseen, verdict};
use super::directory::access_fields;
use super::file::not_a_file;
use super::observation::HostObservation;
use super::path;
use super::stat::{Ask, Asks, FileState, Kind};
use super::text::sha256;
use crate::probe::Probe;

/// A certificate and a key of the host, and where they are to be copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where the certificate lies, with its chain, as PEM. A link is followed.
    pub from_cert: String,
    /// Where the key lies.
    pub from_key: String,
    /// Where the service reads the certificate.
    pub cert: String,
    /// Where it reads the key.
    pub key: String,
    /// Touched afterwards, if it is there: what makes the service read both again.
    pub touch: String,
}

/// What lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSeen {
    /// The certificate file, or what is the matter with it.
    pub certificate: Result<Vec<u8>, String>,
    /// SHA-256 of the key file, or what is the matter with it.
    pub key: Result<String, String>,
    /// The key's public half as `ssh-keygen -y` or `openssl pkey -pubout` prints it; empty: neither could read it.
    pub public: String,
}

/// Larger ones are no certificates, in bytes.
const LARGEST: usize = 64 * 1024;

/// Arguments: the two files, where they go, their checksums as they were seen, what is touched. Both are there whole
/// before either takes its place. It runs to its end on the host, so a copy that is made is also told of.
const COPY: &str = r#"set -eu
umask 077
cert=$(mktemp "$3.XXXXXX")
trap 'rm -f "$cert"' EXIT
key=$(mktemp "$4.XXXXXX")
trap 'rm -f "$cert" "$key"' EXIT
cat <"$1" >"$cert"
cat <"$2" >"$key"
sum() { s=$(sha256sum <"$1"); printf %s "${s%% *}"; }
[ "$(sum "$cert")" = "$5" ] && [ "$(sum "$key")" = "$6" ] || { echo "$1 or $2 has changed since it was looked at" >&2; exit 1; }
chown root:root "$cert" "$key"
chmod 0644 "$cert"
mv -f "$key" "$4"
mv -f "$cert" "$3"
[ ! -e "$7" ] || touch "$7""#;

impl Pair {
    /// What identifies its place among what was seen.
    pub fn place(&self) -> String {
        format!("{}\t{}", self.from_cert, self.from_key)
    }

    pub(super) fn title(&self) -> String {
        format!("copy {} to {}", self.from_cert, self.cert)
    }

    fn paths(&self) -> [&String; 5] {
        [&self.from_cert, &self.from_key, &self.cert, &self.key, &self.touch]
    }

    pub(super) fn ask(&self, asks: &mut Asks) {
        asks.add(&self.cert, Ask::Stat);
        asks.add(&self.key, Ask::Stat);
    }

    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        for path in self.paths() {
            if let Some(why) = path::problem(path) {
                return refused(format!("{path}: {why}"), "correct the path where it is declared");
            }
        }
        let pair = match seen.pairs.get(&self.place()) {
            Ok(pair) => pair,
            Err(why) => return unseen(&self.from_cert, why),
        };
        let wrong = |path: &str, why: &str| refused(format!("{path} {why}"), format!("look at it: ls -lL {path}"));
        let (cert_sum, key_sum) = match (&pair.certificate, &pair.key) {
            (Err(why), _) => return wrong(&self.from_cert, why),
            (_, Err(why)) => return wrong(&self.from_key, why),
            (Ok(certificate), Ok(key)) => (sha256(certificate), key),
        };
        let (mut fields, mut action) = (Vec::new(), Action::Update);
        for (name, path, sum, mode) in
            [("certificate", &self.cert, &cert_sum, 0o644), ("key", &self.key, key_sum, 0o600)]
        {
            let shown =
                |sum: &str| if name == "key" { PLACEHOLDER.to_owned() } else { format!("sha256 {}", &sum[..12]) };
            match seen.files.get(path) {
                Err(why) => return unseen(path, why),
                Ok(FileState::Hidden) => return unseen(path, "the login may not look there"),
                Ok(FileState::Absent { .. }) => {
                    action = Action::Create;
                    fields.push(FieldDiff::new(name, None, Some(shown(sum))));
                }
                Ok(FileState::There(stat)) if stat.kind != Kind::File => return not_a_file(path),
                Ok(FileState::There(stat)) if stat.sha256.as_ref() == Some(sum) => {
                    fields.extend(access_fields(stat, mode, "root:root"));
                }
                Ok(FileState::There(stat)) => {
                    let was = stat.sha256.as_deref().map_or_else(|| "unreadable".to_owned(), shown);
                    fields.push(FieldDiff::new(name, Some(was), Some(shown(sum))));
                }
            }
        }
        if fields.is_empty() {
            return Verdict::Unchanged;
        }
        let [from_cert, from_key, cert, key, touch] = self.paths().map(String::as_str);
        let argv =
            ["sh", "-c", COPY, "copy", from_cert, from_key, cert, key, cert_sum.as_str(), key_sum.as_str(), touch];
        verdict(action, fields, vec![Op::Exec(Exec::new(argv).timeout(60))])
    }
}

/// Both files of each pair, read where they are. ssh-keygen is wherever a sshd is, and takes a key from a pipe only
/// without minding its mode.
const LOOK: &str = r#"state() {
if [ ! -e "$1" ]; then echo 'is not there'
elif [ ! -f "$1" ]; then echo 'is no file'
elif ! head -c 1 <"$1" >/dev/null 2>&1; then echo 'may not be read by the login'
else echo there; fi
}
pair() {
printf 'pair\t%s\t%s\n' "$1" "$2"
s=$(state "$1"); printf 'certificate\t%s\n' "$s"
[ "$s" != there ] || head -c 65537 <"$1" | base64
echo .
s=$(state "$2"); [ "$s" != there ] || { s=$(sha256sum <"$2"); s="there ${s%% *}"; }
printf 'key\t%s\n' "$s"
case $s in there*)
p=$(head -c 65537 <"$2" | ssh-keygen -y -P '' -f /dev/stdin 2>/dev/null) || p=$(openssl pkey -pubout -passin pass: <"$2" 2>/dev/null) || p=
printf %s "$p" | base64 ;;
esac
echo .
}
"#;

/// One probe for all pairs of a host.
pub(super) fn probe(pairs: &[&Pair]) -> Option<Probe> {
    let mut sh = LOOK.to_owned();
    // What cannot be asked for is refused by the diff.
    let all = pairs.iter().filter(|p| p.paths().iter().all(|path| path::problem(path).is_none()));
    for pair in all {
        sh += &format!("pair {} {}\n", sh_quote(&pair.from_cert), sh_quote(&pair.from_key));
    }
    sh += "exit 0\n";
    (!pairs.is_empty()).then(|| Probe { cap: 256 * 1024 * pairs.len(), ..Probe::new("pairs", sh) })
}

/// Reads what the probe said.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, PairSeen>, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let place = line.strip_prefix("pair\t").ok_or("a pair cannot be read")?;
        let state = lines.next().and_then(|l| l.strip_prefix("certificate\t")).ok_or("a certificate is missing")?;
        let content = encoded(&mut lines)?;
        let certificate = match state {
            "there" if content.len() > LARGEST => Err("is too large for a certificate".to_owned()),
            "there" => Ok(content),
            why => Err(why.to_owned()),
        };
        let state = lines.next().and_then(|l| l.strip_prefix("key\t")).ok_or("a key is missing")?;
        let public = String::from_utf8(encoded(&mut lines)?).map_err(|_| "a public key is not text")?;
        let key = match state.strip_prefix("there ") {
            Some(sum) if sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(sum.to_owned()),
            Some(_) => return Err("a checksum cannot be read".to_owned()),
            None => Err(state.to_owned()),
        };
        found.insert(place.to_owned(), PairSeen { certificate, key, public });
    }
    Ok(found)
}

/// Lines of base64 up to a dot.
fn encoded<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    let mut all = String::new();
    loop {
        match lines.next() {
            Some(".") => return STANDARD.decode(all).map_err(|_| "what was sent is not base64".to_owned()),
            Some(line) => all.push_str(line.trim()),
            None => return Err("the answer is cut".to_owned()),
        }
    }
}
