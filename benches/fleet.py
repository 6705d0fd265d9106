"""The hosts that are measured on, and how an operator's ssh reaches them."""

import json
import os
import subprocess
import time

from measure import ENV, REPO, output


class Fleet:
    """A fleet of tests/fleet, with what `benches/platform` keeps for its operator."""

    def __init__(self, name):
        self.name = name
        self.state = REPO / ".fleet" / name
        self.control = self.state / "control"
        lines = output([REPO / "tests/fleet/fleet", "address", name]).splitlines()
        self.addresses = [line.split()[2] for line in lines]

    def ssh(self, address, *command, config=()):
        """OpenSSH as it is, without a kept connection; only which key and which known hosts are said."""
        return [
            "ssh", "-F", "none", "-i", str(self.state / "id_ed25519"),
            "-o", f"UserKnownHostsFile={self.state}/known_hosts", "-o", "GlobalKnownHostsFile=none",
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
            *config, f"root@{address}", *command,
        ]

    def sh(self, number, script):
        """A script on a host, as root, from outside it: it is no part of what is measured."""
        box = f"fleet-{self.name}-{number}"
        return output(["docker", "exec", box, "sh", "-c", script])

    def tool(self, binary, *args):
        return [binary, *args, "-i", str(self.control / "inventory.yml"), "--pki-dir", str(self.control / "pki")]

    def env(self):
        """The operator's environment; nothing of the user who measures."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL")}
        home = {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"}
        return kept | {k: str(self.control / v) for k, v in home.items()}

    def ansible(self, folder, python="/usr/bin/python3", mitogen=False, forks=50):
        """Writes a configuration and an inventory for Ansible into the folder; returns its environment."""
        folder.mkdir(parents=True, exist_ok=True)
        args = f"-F none -o UserKnownHostsFile={self.state}/known_hosts -o GlobalKnownHostsFile=none -o ControlMaster=auto -o ControlPersist=60s"
        hosts = {f"host{n}": {"ansible_host": a} for n, a in enumerate(self.addresses, 1)}
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.state / "id_ed25519"),
            "ansible_ssh_args": args,
            "ansible_python_interpreter": python,
        }
        (folder / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}))
        lines = [
            "[defaults]", f"inventory = {folder}/hosts.json", f"forks = {forks}", "gathering = explicit",
            f"collections_path = {ENV}/collections", f"local_tmp = {folder}/tmp", "retry_files_enabled = False",
            "deprecation_warnings = False",
        ]
        if mitogen:
            found = next(ENV.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy"))
            lines += [f"strategy_plugins = {found}", "strategy = mitogen_linear"]
        lines += ["[ssh_connection]", "pipelining = True"]
        config = folder / ("mitogen.cfg" if mitogen else "ansible.cfg")
        config.write_text("\n".join(lines) + "\n")
        return self.env() | {
            "ANSIBLE_CONFIG": str(config), "PATH": f"{ENV}/bin:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1",
            "HOME": str(folder), "LC_ALL": "C.UTF-8",
        }


def end_masters(folder):
    """Ends Ansible's kept connections: each run begins without one, as ours does."""
    for socket in folder.glob(".ansible/cp/*"):
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "none"], capture_output=True)
    # One that is about to go would take the next run's first words with it.
    while any(folder.glob(".ansible/cp/*")):
        time.sleep(0.05)
