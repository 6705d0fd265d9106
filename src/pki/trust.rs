//! Which authority the services trust, and where a change to another one stands. Kept as a small text file of the store;
//! a store without it is one with a CA of ours that was never changed.

use std::fmt;

/// Where the certificates of the inside come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A CA of ours.
    #[default]
    Auto,
    /// The site's CA, whose key we have.
    ExternalCa,
    /// The site issues every one of them.
    Provided,
}

/// A step of the change from one authority to another. Between two of them every service runs with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Certificates of the old authority, trust in both.
    Spread,
    /// Certificates of the new one, trust in both.
    Issue,
    /// Certificates of the new one, trust in it alone.
    Drop,
}

/// A change that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The step that is, or is to be, on the hosts.
    pub phase: Phase,
    /// Where the new certificates come from.
    pub to: Mode,
}

/// What the store says about trust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Counts every step there ever was: of two copies of a store, the one with the higher number is newer.
    pub generation: u64,
    /// Services that run with less than this would not understand those of the present step.
    pub floor: u64,
    /// Where the certificates come from (before the change, while there is one).
    pub mode: Mode,
    /// A change that is under way.
    pub turn: Option<Turn>,
}

/// Which way to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the new authority.
    On,
    /// To the old one.
    Back,
}

impl Trust {
    /// The beginning of a change.
    pub(crate) fn begin(self, to: Mode) -> Trust {
        let turn = Some(Turn { phase: Phase::Spread, to });
        Trust { generation: self.generation + 1, floor: 0, turn, ..self }
    }

    /// The step after the present one, which all services have been brought to. `None`: there is no change under way.
    ///
    /// The floor is what makes a step safe: certificates of the new authority only where everybody trusts both, and the
    /// old one dropped only where nobody shows its certificates any more.
    pub(crate) fn step(self, way: Way) -> Option<Trust> {
        let turn = self.turn?;
        let to = |phase: Phase, floor: u64| Trust {
            generation: self.generation + 1,
            floor,
            turn: Some(Turn { phase, ..turn }),
            ..self
        };
        Some(match (turn.phase, way) {
            (Phase::Spread, Way::On) => to(Phase::Issue, self.generation),
            (Phase::Issue, Way::On) => to(Phase::Drop, self.generation),
            // Nothing changes on the hosts: the same generation.
            (Phase::Drop, Way::On) => Trust { mode: turn.to, turn: None, floor: 0, ..self },
            (Phase::Drop, Way::Back) => to(Phase::Issue, 0),
            // Only a service that trusts the new one alone would not understand it: there is none, unless the way back
            // came past `Drop`.
            (Phase::Issue, Way::Back) => to(Phase::Spread, if self.floor == 0 { self.generation } else { 0 }),
            (Phase::Spread, Way::Back) => {
                Trust { generation: self.generation + 1, floor: self.generation, turn: None, ..self }
            }
        })
    }

    /// True when every service has to be brought to the present step before [`Trust::step`].
    pub fn comes_first(&self, way: Way) -> bool {
        match (self.turn.map(|t| t.phase), way) {
            (None, _) | (Some(Phase::Drop), Way::Back) => false,
            (Some(Phase::Issue), Way::Back) => self.floor == 0,
            _ => true,
        }
    }

    /// The last way back is on the hosts: nothing older is left that the floor has to keep out.
    pub(crate) fn settled(self) -> Trust {
        Trust { floor: if self.turn.is_none() { 0 } else { self.floor }, ..self }
    }

    /// The mode certificates are issued in now.
    pub fn issues(&self) -> Mode {
        match self.turn {
            Some(Turn { phase: Phase::Issue | Phase::Drop, to }) => to,
            _ => self.mode,
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("generation {}\nfloor {}\nmode {}\n", self.generation, self.floor, self.mode);
        if let Some(Turn { phase, to }) = self.turn {
            text += &format!("phase {phase}\nto {to}\n");
        }
        text
    }

    /// Reads it; `None`: it is not what [`Trust::text`] writes.
    pub(crate) fn read(text: &str) -> Option<Trust> {
        let mut trust = Trust::default();
        let (mut phase, mut to) = (None, None);
        for line in text.lines() {
            match line.split_once(' ')? {
                ("generation", value) => trust.generation = value.parse().ok()?,
                ("floor", value) => trust.floor = value.parse().ok()?,
                ("mode", value) => trust.mode = Mode::read(value)?,
                ("phase", value) => phase = Some(Phase::read(value)?),
                ("to", value) => to = Some(Mode::read(value)?),
                _ => return None,
            }
        }
        trust.turn = match (phase, to) {
            (Some(phase), Some(to)) => Some(Turn { phase, to }),
            (None, None) => None,
            _ => return None,
        };
        Some(trust)
    }
}

impl Mode {
    /// From the word of `CERT_MODE`.
    pub fn read(word: &str) -> Option<Mode> {
        [Mode::Auto, Mode::ExternalCa, Mode::Provided].into_iter().find(|mode| mode.to_string() == word)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Auto => "auto",
            Mode::ExternalCa => "external-ca",
            Mode::Provided => "provided",
        })
    }
}

impl Phase {
    fn read(word: &str) -> Option<Phase> {
        [Phase::Spread, Phase::Issue, Phase::Drop].into_iter().find(|phase| phase.to_string() == word)
    }

    /// 1, 2 or 3.
    pub fn number(self) -> u8 {
        match self {
            Phase::Spread => 1,
            Phase::Issue => 2,
            Phase::Drop => 3,
        }
    }

    /// What the services get in it.
    pub fn in_words(self) -> &'static str {
        match self {
            Phase::Spread => "every service trusts the old and the new authority",
            Phase::Issue => "certificates of the new authority",
            Phase::Drop => "the old authority is trusted no more",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Spread => "spread",
            Phase::Issue => "issue",
            Phase::Drop => "drop",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(trust: Trust) -> Trust {
        trust.step(Way::On).expect("a change is under way")
    }

    #[test]
    fn there_and_what_each_step_stands_on() {
        let first = Trust::default().begin(Mode::ExternalCa);
        assert_eq!((first.generation, first.floor, first.issues()), (1, 0, Mode::Auto));
        let second = on(first);
        assert_eq!((second.generation, second.floor, second.issues()), (2, 1, Mode::ExternalCa));
        let third = on(second);
        assert_eq!((third.generation, third.floor, third.issues()), (3, 2, Mode::ExternalCa));
        let done = on(third);
        assert_eq!(done, Trust { generation: 3, floor: 0, mode: Mode::ExternalCa, turn: None });
        assert_eq!(done.step(Way::On), None);
    }

    /// Steps back from here, with the floor of each, and whether it had to be on every service first.
    fn back(mut trust: Trust) -> (Vec<(Option<Phase>, u64, bool)>, Trust) {
        let mut seen = Vec::new();
        while let Some(next) = trust.step(Way::Back) {
            assert!(next.generation > trust.generation, "a host must see that it is older");
            seen.push((next.turn.map(|t| t.phase), next.floor, trust.comes_first(Way::Back)));
            trust = next;
        }
        (seen, trust)
    }

    #[test]
    fn back_from_every_step() {
        let first = Trust::default().begin(Mode::Provided);
        // What takes trust away stands on a step that everybody was at.
        let (seen, end) = back(on(on(first)));
        assert_eq!(
            seen,
            [(Some(Phase::Issue), 0, false), (Some(Phase::Spread), 4, true), (None, 5, true)],
            "past the last step"
        );
        assert_eq!((end.mode, end.settled().floor), (Mode::Auto, 0));
        // Certificates of the new authority may be what does not work: they need not be everywhere first.
        assert_eq!(back(on(first)).0, [(Some(Phase::Spread), 0, false), (None, 3, true)]);
        assert_eq!(back(first).0, [(None, 1, true)]);
        let under_way = on(first);
        assert_eq!(under_way.settled(), under_way);
    }

    #[test]
    fn written_and_read() {
        let start = Trust::default().begin(Mode::Provided);
        for trust in [Trust::default(), start, on(start), on(on(start)), on(on(on(start)))] {
            assert_eq!(Trust::read(&trust.text()), Some(trust));
        }
        for damaged in ["generation x\n", "generation 1\nphase issue\n", "mode ours\n", "words\n"] {
            assert_eq!(Trust::read(damaged), None, "{damaged}");
        }
    }
}
