//! What happens to a host's own files.

use super::{NAMES, Suite};

pub fn read_only(suite: &Suite) -> String {
    let file = "/etc/reemo/traefik/dynamic/common.yml";
    suite.sh(NAMES[1], &format!("echo '# by hand' >>{file}; mount --bind /etc /etc && mount -o remount,bind,ro /etc"));
    let ran = suite.tool().run(&["apply"]);
    suite.sh(NAMES[1], "umount /etc");
    ran.ends_with(2).says("Read-only file system").says(file).says("next:");
    "2: `Read-only file system`, the file named".into()
}
