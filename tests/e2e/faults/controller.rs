//! What happens to the control machine.

use std::process::Command;
use std::time::Duration;

use super::{NAMES, Suite};
use crate::command;

pub fn killed(suite: &Suite) -> String {
    let tool = suite.changed("reemo_api", &[("FAULT", "killed")]);
    let run = tool.start(&["apply"]);
    suite.until_updating(NAMES[0], "reemo_api");
    run.running.signal("KILL");
    run.end().ends_with(137);
    tool.run(&["lock", "status"]).ends_with(0).says("that process is gone: the next run takes the lock over");
    tool.again(&["resume"]).ends_with(0);
    tool.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    "137, then `resume`: 0".into()
}

pub fn race(suite: &Suite) -> String {
    let here = suite.changed("reemo_api", &[("FAULT", "race")]);
    let there = here.elsewhere();
    let (one, other) = (here.start(&["apply"]), there.start(&["apply"]));
    let (one, other) = (one.end(), other.end());
    let (first, second) = if one.code == 0 { (one, other) } else { (other, one) };
    first.ends_with(0);
    second.ends_with(7).says("is being changed by `apply` of");
    "one 0, the other 7, which names the holder".into()
}

pub fn closed(suite: &Suite) -> String {
    let tool = suite.changed("reemo_apicronlog", &[("FAULT", "closed")]);
    let plan = tool.command(&["plan"]);
    for shell in ["\"$0\" \"$@\" | head -n 1; exit ${PIPESTATUS[0]}", "\"$0\" \"$@\" >&- 2>&-"] {
        let mut command = Command::new("bash");
        command.args(["-c", shell]).arg(plan.get_program()).args(plan.get_args());
        command.envs(plan.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let ended = command::run(command, "", Duration::from_secs(60));
        assert_eq!(ended.code, 0, "{shell}: {}{}", ended.out, ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
    "`plan | head -n 1` and `plan >&- 2>&-`: 0".into()
}
