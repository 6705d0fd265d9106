//! What happens to the supply of images.

use super::{NAMES, Suite};
use crate::command::docker;

/// Asks for a service whose image no host has yet.
const NEW: &str = "API_MAIL_ACTIVE=true API_MAIL_BASEURL=https://portal.reemo.test EXIM_SMARTHOST=mail.reemo.test::587";

/// The image cannot be had: its service is not rolled out, and those that were before it (the api is told of the mail
/// server) are put back.
fn refused(suite: &Suite, fault: impl FnOnce(), heal: impl FnOnce(), says: &[&str]) -> String {
    for host in NAMES {
        suite.sh(
            host,
            "docker image rm $(docker image ls -q --filter reference='*/reemoinfra/reemoinfraexim4' --filter reference='*/reemoinfraexim4') 2>/dev/null; true",
        );
    }
    fault();
    let ran = suite.tool().run(&["apply", "-e", NEW]);
    heal();
    assert!([2, 6].contains(&ran.code), "{}", ran.text());
    let code = ran.code;
    let mut ran = ran.says("reemoinfraexim4:4.96").says("still serving: reemo_api 2.13.10 (3/3)").says("next:");
    for part in says {
        ran = ran.says(part);
    }
    let services = suite.sh(NAMES[0], "docker service ls --format '{{.Name}}'");
    assert!(!services.contains("reemo_exim4"), "{services}");
    format!("{code} after {} s, the old release serves: `{}`", ran.took.as_secs(), says[0])
}

pub fn full_disk(suite: &Suite) -> String {
    let full = "mount -t tmpfs -o size=64k none /var/lib/docker/tmp";
    refused(
        suite,
        || drop(suite.sh(NAMES[1], full)),
        || drop(suite.sh(NAMES[1], "umount /var/lib/docker/tmp")),
        &["no space left on device", NAMES[1]],
    )
}

pub fn lies(suite: &Suite) -> String {
    // One byte of every layer of that image, as a disk could turn it.
    let turn = r#"cd /data/docker/registry/v2 || exit 1
digest=$(cut -d: -f2 repositories/reemoinfraexim4/_manifests/tags/4.96/current/link)
manifest=blobs/sha256/$(echo "$digest" | cut -c1-2)/$digest/data
for layer in $(tr -d ' \n' <"$manifest" | sed 's/.*"layers"//' | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2); do
  file=blobs/sha256/$(echo "$layer" | cut -c1-2)/$layer/data
  cp "$file" "$file.kept" && printf X | dd of="$file" bs=1 seek=100 conv=notrunc 2>/dev/null && echo "$file"
done | grep . || exit 1"#;
    let back = r#"find /data -name data.kept | while read -r f; do mv "$f" "${f%.kept}"; done"#;
    let registry = suite.site.fleet.registry();
    let run = |script: &str| docker(&["exec", &registry, "/bin/sh", "-c", script]);
    refused(suite, || run(turn), || run(back), &["verification failed"])
}

pub fn down(suite: &Suite) -> String {
    let registry = suite.site.fleet.registry();
    refused(suite, || docker(&["stop", "-t", "1", &registry]), || docker(&["start", &registry]), &["registry.reemo.io"])
}
