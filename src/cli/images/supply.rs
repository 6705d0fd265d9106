//! `images save` and `images mirror`: from this machine to registries, and to no host.

use std::path::{Path, PathBuf};

use reemo_model::op::RegistryAuth;
use reemo_model::secret::Secret;
use reemo_ui::{Cell, Table};
use serde_json::json;

use super::with;
use crate::cli::args::{Format, ImagesArgs};
use crate::cli::output;
use crate::cli::prepare::{self, Exit, Ready};
use crate::engine::images::remote::Remote;
use crate::engine::images::{all_references, mirror, save};

/// The inventory, as one who pulls sees it.
fn read(args: &ImagesArgs) -> Result<(Ready, Remote), Exit> {
    let apply = with(&args.apply, &json!({"IMAGE_MODE": "registry"}));
    let ready = prepare::read(&apply.inventory, &apply.connect)?;
    let settings = ready.site.clusters.values().map(|c| &c.settings).next();
    let login = settings.and_then(|s| s.registry.as_ref());
    let ca = settings.and_then(|s| s.registry_ca.as_ref()).map(|(_, ca)| ca.bytes());
    let remote = Remote::new(login, ca)?;
    Ok((ready, remote))
}

/// Writes a bundle.
pub async fn save(args: &ImagesArgs) -> Result<u8, Exit> {
    let Some(to) = args.to.as_deref().map(Path::new) else {
        return Err(Exit::usage("images save: where to? --to FILE"));
    };
    if to.exists() {
        return Err(Exit::usage(format!("{} is there already: give another name", to.display())));
    }
    let mut packages = Vec::new();
    for said in &args.packages {
        let Some((system, folder)) = said.split_once('=').filter(|(s, f)| !s.is_empty() && !f.is_empty()) else {
            return Err(Exit::usage(format!("--packages {said}: write SYSTEM=DIR, such as debian-12=./packages")));
        };
        packages.push((system.to_owned(), PathBuf::from(folder)));
    }
    let (ready, remote) = read(args)?;
    let references = all_references(&ready.site);
    let wanted = save::Wanted { references: &references, platform: &args.platform, packages: &packages };
    let text = args.apply.output.format == Format::Text;
    let output = args.apply.output.clone();
    let say = move |line: &str| {
        if text {
            output::printer(&output).note(line);
        }
    };
    let bundle = save::save(&remote, &wanted, to, &say).await?;
    let bytes = std::fs::metadata(to).map(|m| m.len()).unwrap_or(0);
    let mut printer = output::printer(&args.apply.output);
    if text {
        printer.print(&format!(
            "{}: {} images and {} packages for {}, {bytes} bytes, release {}: written and read back",
            to.display(),
            bundle.images.len(),
            bundle.packages.len(),
            bundle.platform,
            bundle.release
        ));
    } else {
        printer.print(
            &json!({"schema": 1, "file": to, "bytes": bytes, "release": bundle.release, "images": bundle.images})
                .to_string(),
        );
    }
    Ok(0)
}

/// Copies to another registry.
pub async fn mirror(args: &ImagesArgs) -> Result<u8, Exit> {
    let Some(to) = args.to.as_deref() else {
        return Err(Exit::usage("images mirror: where to? --to REGISTRY"));
    };
    let to = to.trim_start_matches("https://").trim_end_matches('/');
    let of =
        |path: &PathBuf| std::fs::read(path).map_err(|e| Exit::usage(format!("cannot read {}: {e}", path.display())));
    let login = match (&args.to_username, &args.to_password_file) {
        (Some(username), Some(file)) => {
            let password = String::from_utf8_lossy(&of(file)?).trim_end_matches(['\r', '\n']).to_owned();
            Some(RegistryAuth { server: to.to_owned(), username: username.clone(), password: Secret::new(password) })
        }
        (None, None) => None,
        _ => return Err(Exit::usage("--to-username and --to-password-file go together")),
    };
    let ca = args.to_ca.as_ref().map(of).transpose()?;
    let target = Remote::new(login.as_ref(), ca.as_deref())?;
    let (ready, source) = read(args)?;
    let mut printer = output::printer(&args.apply.output);
    let text = args.apply.output.format == Format::Text;
    let (mut rows, mut table) = (Vec::new(), Table::new(["IMAGE", "DIGEST", "BLOBS SENT", "BYTES"]));
    for name in all_references(&ready.site) {
        let from = name.split('/').next().unwrap_or_default();
        let Some(new) = mirror::renamed(&name, from, to) else {
            printer.warn(&format!("{name} names no registry: it is not copied"));
            continue;
        };
        let done = mirror::copy(&source, &target, &name, &new).await?;
        if text {
            printer.note(&format!("{}: {} blobs sent", done.reference, done.sent));
        }
        table.row([Cell::new(&done.reference), Cell::new(&done.digest), Cell::new(done.sent), Cell::new(done.bytes)]);
        rows.push(json!({"image": done.reference, "digest": done.digest, "sent": done.sent, "bytes": done.bytes}));
    }
    if !text {
        printer.print(&json!({"schema": 1, "images": rows}).to_string());
        return Ok(0);
    }
    printer.print(&table.render(printer.out));
    printer.print(&format!("\nin the inventory:\n    IMAGE_MODE: \"mirror\"\n    REGISTRY_URL: \"{to}\""));
    Ok(0)
}
