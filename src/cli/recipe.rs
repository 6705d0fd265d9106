//! A command line that can be given again, without what must not lie on a disk.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, Parser};
use reemo_model::declare::Declarations;
use reemo_model::diag::{Diagnostics, Texts};
use reemo_model::secret::scrub;
use reemo_model::vars::extra;
use serde::{Deserialize, Serialize};

use super::args::Cli;
use super::disk::Disk;
use super::prepare::Exit;

/// The command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Words, without the program's name.
    pub argv: Vec<String>,
    /// Variables of `-e` that were left out.
    pub withheld: Vec<String>,
}

/// Reads the command line a second time, for its words. Only options somebody gave are kept (those of the environment
/// too). A value of `-e` stays if it is a file's name, or if all its variables are declared and none is secret.
pub fn of(argv: &[String], declarations: &Declarations) -> Recipe {
    let mut command = Cli::command();
    command.build();
    let Ok(matches) = command.clone().try_get_matches_from(argv) else { return Recipe::default() };
    let Some((name, given)) = matches.subcommand() else { return Recipe::default() };
    let mut recipe = Recipe { argv: vec![name.to_owned()], withheld: Vec::new() };
    let Some(sub) = command.find_subcommand(name) else { return recipe };
    let mut last = Vec::new();
    for arg in sub.get_arguments() {
        for word in words(arg, given) {
            if arg.get_id() == "extra_vars" {
                let names = secret_names(&word, declarations);
                if !names.is_empty() {
                    recipe.withheld.extend(names);
                    continue;
                }
            }
            match arg.get_long() {
                Some(long) if arg.get_action().takes_values() => recipe.argv.push(format!("--{long}={word}")),
                Some(long) => recipe.argv.push(format!("--{long}")),
                None => last.push(word),
            }
        }
    }
    recipe.argv.extend(last);
    recipe.argv = recipe.argv.into_iter().map(|w| scrub(&w).into_owned()).collect();
    recipe.withheld.sort();
    recipe.withheld.dedup();
    recipe
}

/// The command line again, in the directory it was given in, with the `-e` that are given now. `what` and `how` are for
/// the message to who has to give some: `run X`, `resume X`.
pub fn again(recipe: &Recipe, cwd: &str, given: &[String], what: &str, how: &str) -> Result<(Cli, Vec<String>), Exit> {
    if !recipe.withheld.is_empty() && given.is_empty() {
        return Err(Exit {
            hint: format!("reemo-infra {how} -e @FILE (or -e {}=…)", recipe.withheld[0]),
            ..Exit::usage(format!(
                "{what} was given {} with -e; such values are not kept on the disk",
                recipe.withheld.join(", ")
            ))
        });
    }
    let here = |e: std::io::Error| Exit::failed(format!("cannot go to {cwd}: {e}"));
    // A file given now is named from where the operator is now.
    let now = std::env::current_dir().map_err(here)?;
    let given = given.iter().map(|e| match e.strip_prefix('@') {
        Some(file) => format!("--extra-vars=@{}", now.join(file).display()),
        None => format!("--extra-vars={e}"),
    });
    std::env::set_current_dir(cwd).map_err(here)?;
    let words = ["reemo-infra".to_owned()].into_iter().chain(recipe.argv.iter().cloned()).chain(given);
    let argv: Vec<String> = words.collect();
    let cli = Cli::try_parse_from(&argv).map_err(|e| Exit::usage(e.to_string()))?;
    Ok((cli, argv))
}

/// The values somebody gave for an option; for a flag as many empty words as it was said.
fn words(arg: &Arg, given: &ArgMatches) -> Vec<String> {
    let id = arg.get_id().as_str();
    if !matches!(given.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
        return Vec::new();
    }
    match arg.get_action() {
        ArgAction::SetTrue => vec![String::new()],
        ArgAction::Count => vec![String::new(); given.get_count(id).into()],
        _ => given.get_raw(id).into_iter().flatten().map(|v| v.to_string_lossy().into_owned()).collect(),
    }
}

/// Variables of an `-e` for whose sake its value is not kept; all of them where one is secret or unknown.
fn secret_names(word: &str, declarations: &Declarations) -> Vec<String> {
    if word.starts_with('@') {
        return Vec::new();
    }
    let read = extra::parse(&[word.to_owned()], &Disk::default(), &mut Texts::default(), &mut Diagnostics::new());
    let secret = |name: &str| declarations.get(name).is_none() || declarations.secret_names().any(|s| s == name);
    let hidden = scrub(word) != word || read.keys().any(|name| secret(name));
    if hidden { read.keys().cloned().collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(words: &[&str]) -> Recipe {
        let catalogue = super::super::embed::catalogue(None).unwrap();
        let declarations = Declarations::read(&catalogue.variables).unwrap();
        let argv: Vec<String> =
            std::iter::once("reemo-infra").chain(words.iter().copied()).map(str::to_owned).collect();
        of(&argv, &declarations)
    }

    #[test]
    fn it_says_the_same_without_secrets() {
        let given = [
            "apply",
            "-i",
            "one.yml",
            "-itwo.yml",
            "-t",
            "db,api",
            "-vv",
            "-e",
            "INIT_DB=true",
            "--extra-vars=@more.yml",
            "-e",
            "REGISTRY_PASSWORD=hunter2hunter2 REGISTRY_USERNAME=user",
            "-e",
            "{\"db_password_typo\": \"abcdefgh\"}",
            "--skip-unreachable",
            "-f5",
        ];
        let found = recipe(&given);
        assert_eq!(found.withheld, ["REGISTRY_PASSWORD", "REGISTRY_USERNAME", "db_password_typo"]);
        let text = found.argv.join(" ");
        assert!(!text.contains("hunter2") && !text.contains("abcdefgh"), "{text}");
        // Positive control: what is kept is what was said.
        let again: Vec<&str> = found.argv.iter().map(String::as_str).collect();
        assert_eq!(again[0], "apply");
        for word in
            ["--inventory=one.yml", "--inventory=two.yml", "--tags=db", "--tags=api", "--extra-vars=INIT_DB=true"]
        {
            assert!(again.contains(&word), "{word}: {text}");
        }
        assert!(again.contains(&"--extra-vars=@more.yml") && again.contains(&"--skip-unreachable"));
        assert_eq!(again.iter().filter(|w| **w == "--verbose").count(), 2);
        assert!(again.contains(&"--forks=5") && !text.contains("--timeout"), "defaults are not said: {text}");
        assert_eq!(recipe(&again).argv, found.argv, "it can be given again");
        assert_eq!(recipe(&["maintenance", "on", "-i", "x.yml"]).argv, ["maintenance", "--inventory=x.yml", "on"]);
    }
}
