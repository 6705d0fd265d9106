//! Colours, with Ansible's codes.

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As wanted: green.
    Ok,
    /// Changed: yellow.
    Changed,
    /// Failed: red.
    Failed,
    /// Unreachable: bright red.
    Unreachable,
    /// Skipped: cyan.
    Skipped,
    /// A warning: bright purple.
    Warning,
    /// Of less weight: dim.
    Quiet,
    /// A heading: bold.
    Strong,
}

/// Paints, or leaves as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint(pub bool);

impl Paint {
    /// The text in the colour of its meaning. Several lines are painted one by one, as Ansible does.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Ok => "0;32",
            Tone::Changed => "0;33",
            Tone::Failed => "0;31",
            Tone::Unreachable => "1;31",
            Tone::Skipped => "0;36",
            Tone::Warning => "1;35",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        let lines: Vec<String> = text.split('\n').map(|line| format!("\x1b[{code}m{line}\x1b[0m")).collect();
        lines.join("\n")
    }
}
