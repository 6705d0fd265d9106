//! `images prune`.

use reemo_ui::{Cell, Table};
use serde_json::json;

use crate::cli::args::{Format, HandArgs, ImagesArgs};
use crate::cli::by_hand::ByHand;
use crate::cli::confirm::confirm;
use crate::cli::output;
use crate::cli::prepare::Exit;
use crate::engine::fault::Fault;
use crate::engine::images::prune::Going;

/// Runs it.
pub async fn run(args: &ImagesArgs, argv: &[String]) -> Result<u8, Exit> {
    let apply = &args.apply;
    let given = HandArgs {
        lock_wait: apply.lock_wait,
        inventory: apply.inventory.clone(),
        connect: apply.connect.clone(),
        output: apply.output.clone(),
    };
    let hand = ByHand::begin("images prune", &given, argv, apply.check).await?;
    let going = match hand.run.superfluous_images(args.keep).await {
        Ok(going) => going,
        Err(fault) => return Err(hand.refuse(fault.into()).await),
    };
    show(args, &going);
    if apply.check || going.is_empty() {
        return Ok(hand.end(Ok(())).await);
    }
    if let Err(exit) = confirm(args.yes, &format!("Remove these {} images", going.len())) {
        return Err(hand.refuse(exit).await);
    }
    let result = remove(&hand, args.keep).await;
    Ok(hand.end(result).await)
}

/// What may go is asked again under the lock: another run may have changed what is needed.
async fn remove(hand: &ByHand, keep: usize) -> Result<(), Fault> {
    hand.lock().await?;
    for going in hand.run.superfluous_images(keep).await? {
        hand.run.remove_image(&going).await?;
    }
    Ok(())
}

fn show(args: &ImagesArgs, going: &[Going]) {
    let mut printer = output::printer(&args.apply.output);
    let name = |g: &Going| g.image.names.first().cloned().unwrap_or_else(|| g.image.id.clone());
    if args.apply.output.format != Format::Text {
        let one = |g: &Going| json!({"host": g.host, "image": name(g), "id": g.image.id, "bytes": g.image.size});
        let all: Vec<_> = going.iter().map(one).collect();
        return printer.print(&json!({"schema": 1, "superfluous": all}).to_string());
    }
    if going.is_empty() {
        return printer.print("no image is superfluous");
    }
    let mut table = Table::new(["IMAGE", "HOST", "BYTES"]);
    for g in going {
        table.row([Cell::new(name(g)), Cell::new(&g.host), Cell::new(g.image.size)]);
    }
    printer.print(&table.render(printer.out));
}
