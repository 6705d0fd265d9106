//! Commands as an operator types them again.

use std::path::PathBuf;

use reemo_model::quote::sh_quote;

use super::args::InventoryOptions;

/// The command as it was typed; secrets in it are scrubbed by whoever prints it.
pub fn again(argv: &[String]) -> String {
    argv.iter().skip(1).map(|word| sh_quote(word).into_owned()).collect::<Vec<_>>().join(" ")
}

/// What another command for the same site needs after its name: ` -i inventory.yml`.
pub fn same_site(options: &InventoryOptions) -> String {
    let folder = |flag, given: &Option<PathBuf>| given.as_ref().map(|p| (flag, p.display().to_string()));
    let folders = [
        folder("--roles", &options.roles),
        folder("--playbook-dir", &options.playbook_dir),
        folder("--pki-dir", &options.pki_dir),
    ];
    let sources = options.inventory.iter().map(|source| ("-i", source.clone()));
    sources.chain(folders.into_iter().flatten()).map(|(flag, value)| format!(" {flag} {}", sh_quote(&value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_site() {
        let options = InventoryOptions {
            inventory: vec!["one.yml".into(), "the other.yml".into()],
            pki_dir: Some("/safe/pki".into()),
            ..InventoryOptions::default()
        };
        assert_eq!(same_site(&options), " -i one.yml -i 'the other.yml' --pki-dir /safe/pki");
        assert_eq!(same_site(&InventoryOptions::default()), "");
    }
}
