//! A GlusterFS volume of three copies, as the nodes of one cluster hold it: `/opt/reemo` where the site asks us to
//! replicate it. Made through one node; the commands concern all of them.

use std::collections::BTreeSet;

use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::{Exec, Op};
use reemo_model::quote;

use super::change::{refused, unseen, verdict};
use super::observation::HostObservation;
use crate::probe::Probe;

/// Copies of everything that is written: the least with which two can outvote one.
pub const COPIES: usize = 3;

/// Limit of one of its commands, in seconds: they wait for the other nodes.
const LIMIT_S: u64 = 120;

/// Waits until so many other nodes have joined for good.
const JOINED: &str = r#"i=0
until [ "$(gluster --mode=script peer status | grep -c 'Peer in Cluster (Connected)')" -ge "$1" ]; do
  i=$((i + 1))
  if [ "$i" -ge 60 ]; then gluster --mode=script peer status >&2; exit 1; fi
  sleep 1
done"#;

/// The volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Address of this node, as the others reach it.
    pub here: String,
    /// Addresses of the nodes that hold a copy, this one among them.
    pub holders: Vec<String>,
    /// Directory of a copy on each of them.
    pub brick: String,
    /// Addresses of all nodes that may use it.
    pub users: Vec<String>,
}

/// GlusterFS on one node, as its own command tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gluster {
    /// Not installed.
    Absent,
    /// Installed; its service does not answer.
    Silent,
    /// It answers.
    There(Pool),
}

/// What the service knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Addresses of the other nodes.
    pub peers: Vec<String>,
    /// The volume, if there is one of that name.
    pub volume: Option<Made>,
}

/// A volume that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Serves.
    pub started: bool,
    /// `address:/directory`, in order.
    pub bricks: Vec<String>,
    /// Options that were set, name and value.
    pub options: Vec<(String, String)>,
}

impl Volume {
    /// `address:/directory` of each copy.
    fn bricks(&self) -> Vec<String> {
        self.holders.iter().take(COPIES).map(|at| format!("{at}:{}", self.brick)).collect()
    }

    /// What is set on it. A copy that is alone neither serves nor takes writes; nothing of what a database writes may
    /// stand in a cache of one node only.
    fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("cluster.quorum-type", "auto".into()),
            ("cluster.server-quorum-type", "server".into()),
            // Seconds a write waits for a node that has died.
            ("network.ping-timeout", "10".into()),
            ("performance.write-behind", "off".into()),
            ("performance.stat-prefetch", "off".into()),
            ("performance.quick-read", "off".into()),
            ("performance.io-cache", "off".into()),
            ("performance.read-ahead", "off".into()),
            ("performance.open-behind", "off".into()),
            ("performance.strict-o-direct", "on".into()),
            ("auth.allow", self.users.join(",")),
        ]
    }

    /// What differs, and the commands that remove the difference.
    pub fn diff(&self, seen: &HostObservation) -> Verdict {
        match &seen.gluster {
            Err(why) => unseen(&format!("volume {}", self.name), why),
            Ok(found) => self.compare(found),
        }
    }

    fn compare(&self, found: &Gluster) -> Verdict {
        let pool = match found {
            Gluster::Absent => return Verdict::Unknown { until: "GlusterFS is installed".into() },
            Gluster::Silent => return Verdict::Unknown { until: "glusterd answers".into() },
            Gluster::There(pool) => pool,
        };
        let bricks = self.bricks();
        let made = pool.volume.as_ref();
        // In whatever order: the inventory's may have changed.
        let other = |m: &&Made| m.bricks.iter().collect::<BTreeSet<_>>() != bricks.iter().collect();
        if let Some(made) = made.filter(other) {
            return refused(
                format!("the volume {} has its copies on {}", self.name, made.bricks.join(", ")),
                format!(
                    "wanted are {}. Replace one copy at a time by hand: gluster volume replace-brick {} OLD NEW commit \
                     force",
                    bricks.join(", "),
                    self.name
                ),
            );
        }
        let (mut fields, mut ops) = (Vec::new(), Vec::new());
        let stranger = |at: &&String| **at != self.here && !pool.peers.contains(at);
        for stranger in self.holders.iter().filter(stranger) {
            fields.push(FieldDiff::new("peer", None, Some(stranger.clone())));
            ops.push(gluster(["peer", "probe", stranger]));
        }
        if !ops.is_empty() {
            let others = (self.holders.len() - 1).to_string();
            ops.push(Op::Exec(Exec::new(["sh", "-ec", JOINED, "joined", &others]).timeout(LIMIT_S)));
        }
        if made.is_none() {
            fields.push(FieldDiff::new("copies", None, Some(bricks.join(", "))));
            let copies = COPIES.to_string();
            let create = ["volume", "create", &self.name, "replica", &copies, "transport", "tcp"];
            // A directory on the system's own disk is asked about otherwise.
            ops.push(gluster(create.into_iter().chain(bricks.iter().map(String::as_str)).chain(["force"])));
        }
        let mut settings = Vec::new();
        for (name, wanted) in self.options() {
            let is = made.and_then(|m| m.options.iter().find(|(n, _)| n == name)).map(|(_, value)| value.clone());
            if is.as_ref() != Some(&wanted) {
                fields.push(FieldDiff::new(name, is, Some(wanted.clone())));
                settings.extend([name.to_owned(), wanted]);
            }
        }
        if !settings.is_empty() {
            let set = ["volume", "set", &self.name];
            ops.push(gluster(set.into_iter().chain(settings.iter().map(String::as_str))));
        }
        if made.is_none_or(|m| !m.started) {
            fields.push(FieldDiff::new("state", made.map(|_| "stopped".into()), Some("started".into())));
            ops.push(gluster(["volume", "start", &self.name]));
        }
        verdict(if made.is_none() { Action::Create } else { Action::Update }, fields, ops)
    }
}

/// It asks no questions.
fn gluster<'a>(argv: impl IntoIterator<Item = &'a str>) -> Op {
    Op::Exec(Exec::new(["gluster", "--mode=script"].into_iter().chain(argv)).timeout(LIMIT_S))
}

/// Asks for the pool and one volume.
pub fn probe(volume: &str) -> Probe {
    let volume = quote::sh_quote(volume);
    let sh = format!(
        "command -v gluster >/dev/null 2>&1 || {{ printf 'absent\\n'; exit 0; }}\n\
         pool=$(gluster --mode=script pool list 2>/dev/null) || {{ printf 'silent\\n'; exit 0; }}\n\
         printf 'pool\\n%s\\nvolume\\n' \"$pool\"\n\
         gluster --mode=script volume info {volume} 2>/dev/null\nexit 0\n"
    );
    Probe::new("gluster", sh)
}

pub(super) fn parse(text: &str) -> Result<Gluster, String> {
    let mut lines = text.lines().map(str::trim_end);
    match lines.next() {
        Some("absent") => return Ok(Gluster::Absent),
        Some("silent") => return Ok(Gluster::Silent),
        Some("pool") => {}
        other => return Err(format!("`{}` is no answer", other.unwrap_or_default())),
    }
    let mut pool = Pool::default();
    for line in lines.by_ref().take_while(|l| *l != "volume") {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("UUID"), _) | (_, Some("localhost")) => {}
            (Some(_), Some(address)) => pool.peers.push(address.to_owned()),
            _ => {}
        }
    }
    let mut made = Made::default();
    let mut there = false;
    let mut options = false;
    for line in lines {
        let Some((key, value)) = line.split_once(':').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        match key {
            "Volume Name" => there = true,
            "Status" => made.started = value == "Started",
            "Options Reconfigured" => options = true,
            _ if options => made.options.push((key.to_owned(), value.to_owned())),
            _ if key.strip_prefix("Brick").is_some_and(|n| n.parse::<u32>().is_ok()) => {
                made.bricks.push(value.split_whitespace().next().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
    pool.volume = there.then_some(made);
    Ok(Gluster::There(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As GlusterFS 10.3 prints it.
    const THERE: &str = "pool
UUID\t\t\t\t\tHostname    \tState
0b6a3c0e-3c3f-4c1f-8a55-0b7f1d0b9b4e\t10.0.0.2    \tConnected 
7d7c8e2a-8a0e-4a2b-a3b1-59a2f2b2a6c1\t10.0.0.3    \tDisconnected 
5f2f1d0c-2a52-4d0e-9e56-6a5a64c2d0f7\tlocalhost   \tConnected 
volume
 
Volume Name: reemo
Type: Replicate
Volume ID: 2d5c4a40-5d5e-4d86-9b4a-6e0a1f6c4f63
Status: Started
Snapshot Count: 0
Number of Bricks: 1 x 3 = 3
Transport-type: tcp
Bricks:
Brick1: 10.0.0.1:/opt/reemo-copy/data
Brick2: 10.0.0.2:/opt/reemo-copy/data
Brick3: 10.0.0.3:/opt/reemo-copy/data
Options Reconfigured:
transport.address-family: inet
OPTIONS";

    fn volume() -> Volume {
        let addresses: Vec<String> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(str::to_owned).into();
        Volume {
            name: "reemo".into(),
            here: addresses[0].clone(),
            holders: addresses.clone(),
            brick: "/opt/reemo-copy/data".into(),
            users: addresses,
        }
    }

    fn there(options: &str) -> Gluster {
        parse(&THERE.replace("OPTIONS", options)).unwrap()
    }

    fn all_options() -> String {
        volume().options().iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    fn commands(verdict: &Verdict) -> Vec<String> {
        let Verdict::Change(change) = verdict else { panic!("{verdict:?}") };
        let line = |op: &Op| match op {
            Op::Exec(exec) if exec.argv[0] == "gluster" => exec.argv[2..].join(" "),
            Op::Exec(exec) => format!("wait for {}", exec.argv.last().unwrap()),
            other => panic!("{other:?}"),
        };
        change.ops.iter().map(line).collect()
    }

    #[test]
    fn as_wanted_is_no_change() {
        let verdict = volume().compare(&there(&all_options()));
        assert!(verdict.is_unchanged(), "a node that is away is still a member: {verdict:?}");
    }

    #[test]
    fn from_nothing_in_order() {
        let empty = parse("pool\nUUID\tHostname\tState\n5f2f\tlocalhost\tConnected\nvolume\n").unwrap();
        let said = commands(&volume().compare(&empty));
        assert_eq!(said[..3], ["peer probe 10.0.0.2", "peer probe 10.0.0.3", "wait for 2"]);
        let create = "volume create reemo replica 3 transport tcp 10.0.0.1:/opt/reemo-copy/data \
                      10.0.0.2:/opt/reemo-copy/data 10.0.0.3:/opt/reemo-copy/data force";
        assert_eq!(said[3], create);
        assert!(said[4].starts_with("volume set reemo cluster.quorum-type auto cluster.server-quorum-type server "));
        assert_eq!(said[5..], ["volume start reemo"]);
    }

    #[test]
    fn one_option_is_set_back() {
        let other = all_options().replace("cluster.quorum-type: auto", "cluster.quorum-type: none");
        assert_eq!(commands(&volume().compare(&there(&other))), ["volume set reemo cluster.quorum-type auto"]);
    }

    #[test]
    fn copies_elsewhere_are_not_touched() {
        let mut other = volume();
        other.holders.reverse();
        assert!(other.compare(&there(&all_options())).is_unchanged(), "the same in another order");
        other.holders[2] = "10.0.0.4".into();
        assert!(matches!(other.compare(&there(&all_options())), Verdict::Refused { .. }));
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        for text in ["absent\n", "silent\n"] {
            assert!(matches!(volume().compare(&parse(text).unwrap()), Verdict::Unknown { .. }), "{text}");
        }
        assert!(parse("sh: gluster: something else\n").is_err());
    }
}
