#!/usr/bin/env python3
"""Records anew what Ansible makes of every expression in the tables beside this file.

    pip install 'ansible-core==2.19.*' netaddr passlib 'bcrypt<4.1'
    ANSIBLE_COLLECTIONS_PATH=<folder with ansible.utils and ansible.netcommon> python3 record.py [TABLE…]

A line is `expression<TAB>value as JSON`, or `!` for what Ansible refuses. What stands behind a second tab is ours (see
`template_oracle.rs`) and stays. An expression with `{{`, `{%` or `{#` in it is a whole text; `⏎` in it is a line break.
The variables are in `vars.yml`; the lookups' files are made in a folder of their own, `base` in the expressions.
"""
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
warnings.simplefilter("ignore")
os.environ.setdefault("ANSIBLE_DEPRECATION_WARNINGS", "False")
os.environ["ORACLE_ENV"] = "from the environment"
os.environ["TZ"] = "UTC"
home = tempfile.mkdtemp()
os.environ["ANSIBLE_HOME"] = home

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.display import Display

Display.display = lambda *a, **k: None
init_plugin_loader()
loader = DataLoader()


def plain(value):
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {str(k) if isinstance(k, str) else json.dumps(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(v) for v in value]
    raise TypeError(type(value))


def evaluate(expression, variables):
    text = expression.replace("⏎", "\n")
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        text = "{{ " + text + " }}"
    try:
        value = Templar(loader=loader, variables=variables).template(trust_as_template(text))
        text = json.dumps(plain(value), ensure_ascii=False)
        text.encode()  # Half of a pair of surrogates is no text outside Python.
        return text
    except Exception as error:
        if os.environ.get("WHY"):
            print(expression, "=>", type(error).__name__, str(error)[:300], file=sys.stderr)
        return "!"


def trusted(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {k: trusted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [trusted(v) for v in value]
    return value


def main(tables):
    import yaml
    base = Path(tempfile.mkdtemp())
    for name, text in yaml.safe_load((HERE / "files.yml").read_text()).items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    variables = trusted(yaml.safe_load((HERE / "vars.yml").read_text()))
    variables["base"] = str(base)
    for table in tables:
        out = []
        for line in table.read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                out.append(line)
                continue
            parts = line.split("\t")
            value = evaluate(parts[0], variables)
            value = value.replace(str(base), "$base")
            out.append("\t".join([parts[0], value, *parts[2:]]))
        table.write_text("\n".join(out) + "\n")


main([Path(p) for p in sys.argv[1:]] or sorted(HERE.glob("*.tsv")))
