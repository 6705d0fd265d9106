//! Secrets that were made for this test are looked for wherever they could have leaked to. Each search also looks for a
//! word that was planted there, since a search that finds nothing may only be a search that does not work.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;

use crate::command;
use crate::fleet::{Fleet, Host};
use crate::tool::Tool;

/// Planted where each search looks.
const PLANTED: &str = "planted-word-of-the-e2e-test";

/// Everything a host tells those who look, each part behind a line with its name. `$1` holds the words, one a line.
const HOST_SEARCH: &str = r#"umask 077; words=/run/e2e-words; cat >"$words"
find_in() { grep -aoFf "$words" | sort -u | sed "s/^/$1\t/"; }
journalctl -q --no-pager -o export | find_in journal
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | find_in processes
grep -raohFf "$words" /etc /root /home /srv /opt /var/log /var/lib/dpkg /var/tmp /tmp 2>/dev/null | find_in files
if command -v docker >/dev/null; then
  # Containers see their secrets on a file system in memory, below `mounts`.
  grep -raohFf "$words" --exclude-dir=mounts /var/lib/docker/containers 2>/dev/null | find_in engine
  grep -raohFf "$words" /var/lib/docker/swarm 2>/dev/null | find_in swarm
  { docker ps -aq | xargs -r docker inspect
    for kind in service config secret node network; do docker $kind ls -q | xargs -r docker $kind inspect; done
    docker image ls -q | sort -u | xargs -r docker image inspect; } 2>/dev/null | find_in inspect
fi
rm -f "$words""#;

/// Leaves the planted word in each of the places above; `plant` first, `unplant` after the search.
const PLANT: &str = r#"word=$1
logger "$word"
E2E_PLANTED=$word setsid sleep 300 >/dev/null 2>&1 & echo $! >/run/e2e-planted-pid
printf '%s\n' "$word" >/etc/e2e-planted
docker create --name e2e-planted --label "word=$word" "$(docker images -q | head -n 1)" none >/dev/null
sync; journalctl --sync"#;
const UNPLANT: &str = r#"kill "$(cat /run/e2e-planted-pid)"; rm /run/e2e-planted-pid /etc/e2e-planted
docker rm e2e-planted >/dev/null"#;

/// A secret under all the forms in which it could be written.
fn forms(secret: &str) -> Vec<String> {
    // In base64 a text has three faces, by where in the whole it begins; the ends depend on what is around it.
    let faces = (0..3).map(|shift| {
        let padded = format!("{}{secret}", "\0".repeat(shift));
        let whole = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        let (skip, keep) = ([0, 2, 3][shift], (secret.len() + shift) / 3 * 4);
        whole[skip..keep].to_owned()
    });
    std::iter::once(secret.to_owned()).chain(faces).filter(|f| f.len() >= 12).collect()
}

/// The passwords and keys the platform's containers were given, read where root of a host can read them.
pub fn secrets_of_containers(fleet: &Fleet) -> BTreeSet<String> {
    let script = r#"for id in $(docker ps -q); do
  cd "/proc/$(docker inspect -f '{{.State.Pid}}' "$id")/root/run/secrets" 2>/dev/null || continue
  for f in *; do case $f in *.crt|*.pem|*.cnf) ;; tls.key) sed -n 2p "$f" ;; *) cat "$f"; echo ;; esac; done
done"#;
    let lines = fleet.each(|h| fleet.sh(h, script)).join("\n");
    let found: BTreeSet<String> = lines.lines().filter(|l| l.len() >= 12).map(str::to_owned).collect();
    assert!(found.len() >= 6, "passwords of the database, the mark of the api, keys: {} found", found.len());
    found
}

/// Panics if a secret stands anywhere but where it has to be: these, the licence, the registry's password.
pub fn nowhere(fleet: &Fleet, tool: &Tool, secrets: &BTreeSet<String>, licence: &str) {
    let login = fleet.registry_password();
    let all = secrets.iter().map(String::as_str).chain([licence, &login]);
    let words: Vec<String> = all.flat_map(forms).chain([PLANTED.to_owned()]).collect();
    fleet.each(|host| on_host(fleet, host, &words));
    on_control(tool, &words);
}

/// Panics if a secret was printed on the control machine, or is kept there where it should not be.
pub fn nowhere_printed(fleet: &Fleet, tool: &Tool, licence: &str) {
    let login = fleet.registry_password();
    let words: Vec<String> = [licence, &login].into_iter().flat_map(forms).chain([PLANTED.to_owned()]).collect();
    on_control(tool, &words);
}

fn on_host(fleet: &Fleet, host: &Host, words: &[String]) {
    let plant = format!("set -- '{PLANTED}'\n{PLANT}");
    fleet.sh(host, &plant);
    let found = fleet.try_sh(host, HOST_SEARCH, &(words.join("\n") + "\n"));
    fleet.sh(host, UNPLANT);
    assert!(found.success(), "{}: {}", host.name, found.err);
    let hits: Vec<(&str, &str)> = found.out.lines().filter_map(|l| l.split_once('\t')).collect();
    for place in ["journal", "processes", "files", "engine", "inspect"] {
        assert!(hits.contains(&(place, PLANTED)), "{}: the search in {place} finds nothing:\n{}", host.name, found.out);
    }
    // The Swarm itself keeps the registry's login with each task, in files of root: it has to fetch the image again where
    // a copy moves to. Nothing else of ours lies there in clear.
    let login = forms(&fleet.registry_password());
    let allowed = |place: &str, word: &str| word == PLANTED || place == "swarm" && login.iter().any(|l| l == word);
    let leaked: Vec<_> = hits.iter().filter(|(place, word)| !allowed(place, word)).collect();
    assert!(leaked.is_empty(), "{}: secrets lie open: {leaked:?}", host.name);
    let logins = fleet.sh(host, "find / -xdev -path '*/.docker/config.json' -o -xdev -name .dockercfg");
    assert_eq!(logins, "", "{}: a registry login was left behind", host.name);
}

/// The operator's machine: logs of the runs, everything that was printed, the certificates' folder.
fn on_control(tool: &Tool, words: &[String]) {
    let places = [tool.control.join("state"), tool.control.join("pki"), tool.control.join("home"), tool.transcript()];
    let list = tool.control.join("words");
    fs::write(&list, words.join("\n") + "\n").expect("a file");
    let planted = tool.control.join("state/planted");
    fs::write(&planted, PLANTED).expect("a file");
    let found = grep(&list, &places);
    for file in [&list, &planted] {
        fs::remove_file(file).expect("the file was there");
    }
    assert!(found.iter().any(|l| l.ends_with(PLANTED)), "the search on the control machine finds nothing");
    let leaked: Vec<_> = found.iter().filter(|l| !l.ends_with(PLANTED)).collect();
    assert!(leaked.is_empty(), "secrets lie open on the control machine: {leaked:?}");
}

fn grep(list: &Path, places: &[std::path::PathBuf]) -> Vec<String> {
    let mut command = Command::new("grep");
    command.arg("-raoFf").arg(list).args(places.iter().filter(|p| p.exists()));
    let ended = command::run(command, "", Duration::from_secs(60));
    ended.out.lines().map(str::to_owned).collect()
}
