//! `docs`: what is known about variables, for editors and for people.

use reemo_model::declare::{Declarations, page};

use super::args::{Docs, DocsArgs, OutputArgs};
use super::prepare::Exit;
use super::{embed, load, output};

/// Runs it.
pub fn run(args: &DocsArgs) -> Result<u8, Exit> {
    let catalogue = embed::catalogue(args.roles.as_deref()).map_err(|e| Exit::invalid(e.to_string()))?;
    let declarations = Declarations::of(&catalogue).map_err(|e| Exit::invalid(e.to_string()))?;
    let text = match args.what {
        Docs::Schema => serde_json::to_string_pretty(&declarations.schema()).unwrap_or_default(),
        Docs::Variables => {
            page(&catalogue, &declarations, &load::WITHOUT_EFFECT.map(|(name, _)| name)).trim_end().to_owned()
        }
    };
    output::printer(&OutputArgs::default()).print(&text);
    Ok(0)
}
