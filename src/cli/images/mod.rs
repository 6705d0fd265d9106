//! `images`: by itself a part of `apply`; and what is done with images beside it.

mod list;
mod prune;
mod supply;

use super::apply;
use super::args::{ApplyArgs, ImagesAction, ImagesArgs};
use super::prepare::Exit;

/// Runs it.
pub async fn run(args: &ImagesArgs, argv: &[String]) -> Result<u8, Exit> {
    check(args)?;
    match args.action {
        None => apply::run(&args.apply, "images", argv).await,
        Some(ImagesAction::List) => list::run(&args.apply).await,
        Some(ImagesAction::Prune) => prune::run(args, argv).await,
        Some(ImagesAction::Save) => supply::save(args).await,
        Some(ImagesAction::Mirror) => supply::mirror(args).await,
        Some(ImagesAction::Load) => {
            let bundle = args.bundle.as_deref().map(|b| b.display().to_string());
            let Some(bundle) = bundle else {
                return Err(Exit::usage("images load: which file? --bundle FILE, as `images save` wrote it"));
            };
            let said = serde_json::json!({"IMAGE_MODE": "offline", "IMAGE_BUNDLE": bundle});
            apply::run(&with(&args.apply, &said), "images", argv).await
        }
    }
}

/// The same with variables that win over all others.
fn with(args: &ApplyArgs, variables: &serde_json::Value) -> ApplyArgs {
    let mut args = args.clone();
    args.inventory.extra_vars.push(variables.to_string());
    args
}

/// What belongs to another action is not passed over.
fn check(args: &ImagesArgs) -> Result<(), Exit> {
    use ImagesAction::{Load, Mirror, Prune, Save};
    let belongs: [(&str, bool, &[ImagesAction]); 7] = [
        ("--to", args.to.is_some(), &[Save, Mirror]),
        ("--bundle", args.bundle.is_some(), &[Load]),
        ("--packages", !args.packages.is_empty(), &[Save]),
        ("--yes", args.yes, &[Prune]),
        ("--to-username", args.to_username.is_some(), &[Mirror]),
        ("--to-password-file", args.to_password_file.is_some(), &[Mirror]),
        ("--to-ca", args.to_ca.is_some(), &[Mirror]),
    ];
    for (flag, given, actions) in belongs {
        if given && !args.action.is_some_and(|a| actions.contains(&a)) {
            let words: Vec<String> = actions.iter().map(|a| format!("images {a:?}").to_lowercase()).collect();
            return Err(Exit::usage(format!("{flag} belongs to `{}`", words.join("` and `"))));
        }
    }
    if let (Some(_), Some(plan)) = (args.action, &args.apply.plan) {
        return Err(Exit::usage(format!("`{}`: nothing more is expected here", plan.display())));
    }
    Ok(())
}
