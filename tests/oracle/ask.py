"""Asks the ansible-core this interpreter has, many times in one process.

Reads one request a line from standard input, as JSON, and answers each with one line:

  {"inventory": ARGS, "dir": DIR, "scripts": BOOL}  -> {"code", "out", "err"} of `ansible-inventory ARGS` in DIR
  {"patterns": [...], "sources": [...], "dir": DIR} -> {"hosts": [[...] or an error text, ...]}
  {"yaml": FILE}                                    -> {"value": ...} or {"error": text}

`ansible-inventory` itself needs a second to start; here it is imported once and forked for each request.
What runs is its own entry function, with the arguments of the command line.
"""

import base64
import datetime
import gc
import io
import json
import os
import sys
import tempfile

os.environ.setdefault("ANSIBLE_CONFIG", "/nonexistent/ansible.cfg")
os.environ["ANSIBLE_LOCALHOST_WARNING"] = "false"
os.environ["ANSIBLE_NOCOLOR"] = "1"
os.environ["ANSIBLE_DEPRECATION_WARNINGS"] = "false"
os.environ["ANSIBLE_INVENTORY_UNPARSED_WARNING"] = "false"
for name in ("ANSIBLE_INVENTORY", "ANSIBLE_VAULT_PASSWORD_FILE"):
    os.environ.pop(name, None)
os.chdir("/")

from ansible.cli.inventory import InventoryCLI  # noqa: E402
from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.parsing.vault import EncryptedString  # noqa: E402
from ansible._internal._datatag._tags import TrustedAsTemplate  # noqa: E402
import ansible.constants as C  # noqa: E402



def in_child(work):
    """Runs work() in a child; gives its exit code and what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8", write_through=True)
                sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding="utf-8", write_through=True)
                code = work() or 0
            except SystemExit as end:
                code = end.code or 0
            except BaseException as error:  # whatever it is, it is the answer
                print(repr(error), file=sys.stderr)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code if isinstance(code, int) else 1)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        text = lambda stream: stream.read().decode("utf-8", "replace")
        return {"code": os.waitstatus_to_exitcode(status), "out": text(out), "err": text(err)}


def inventory(request):
    def work():
        os.chdir(request["dir"])
        if not request.get("scripts", True):
            C.INVENTORY_ENABLED = [name for name in C.INVENTORY_ENABLED if name != "script"]
        C.INVENTORY_ANY_UNPARSED_IS_FAILED = request.get("strict", False)
        InventoryCLI.cli_executor(["ansible-inventory", *request["inventory"]])

    return in_child(work)


def patterns(request):
    os.chdir(request["dir"])
    manager = InventoryManager(DataLoader(), sources=request["sources"])
    out = []
    for pattern in request["patterns"]:
        try:
            out.append([host.name for host in manager.get_hosts(pattern)])
        except Exception as error:
            out.append(f"{type(error).__name__}: {error}")
    return {"hosts": out}


def shown(value):
    """The value with its types, so that `1`, `1.0` and `"1"` differ and the order of keys counts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, EncryptedString):
        return {"vault": str(value._ciphertext)}
    if isinstance(value, int):
        return {"int": str(int(value))}
    if isinstance(value, float):
        return {"float": repr(float(value))}
    if isinstance(value, str):
        return str(value) if TrustedAsTemplate.is_tagged_on(value) else {"raw": str(value)}
    if isinstance(value, (datetime.date, datetime.datetime)):
        return {"time": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        key = lambda k: str(k) if isinstance(k, str) else shown(k)
        return {"map": [[key(k), shown(v)] for k, v in value.items()]}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(json.dumps(shown(item)) for item in value)}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    raise TypeError(f"no way to show a {type(value)}")


def yaml(request):
    try:
        value = DataLoader().load_from_file(request["yaml"], cache="none", trusted_as_template=True)
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"value": shown(value)}


WAYS = {"inventory": inventory, "patterns": patterns, "yaml": yaml}

# Children then share the memory instead of copying it.
gc.collect()
gc.freeze()

for line in sys.stdin:
    request = json.loads(line)
    way = next(way for name, way in WAYS.items() if name in request)
    sys.__stdout__.write(json.dumps(way(request)) + "\n")
    sys.__stdout__.flush()
