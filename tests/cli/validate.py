"""Says of each YAML file whether a JSON Schema holds for it: validate.py SCHEMA FILE…"""

import json
import sys

import yaml
from jsonschema import Draft202012Validator


class Loader(yaml.SafeLoader):
    """Ansible's tags are text to an editor."""


for tag in ("!vault", "!unsafe"):
    Loader.add_constructor(tag, lambda loader, node: loader.construct_scalar(node))

schema = json.load(open(sys.argv[1], encoding="utf-8"))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
verdicts = []
for name in sys.argv[2:]:
    try:
        document = yaml.load(open(name, encoding="utf-8"), Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError):
        continue
    verdicts.append({"name": name, "valid": validator.is_valid(document)})
json.dump(verdicts, sys.stdout)
