"""Run by the Python of .tools/sam: the versions that SAM makes of a template's functions.

In (stdin): templates as JSON, in a list. Out: for each one the logical ids of its versions.
"""

import json
import sys
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def versions(template: dict[str, Any]) -> list[str]:
    """The logical ids of the published versions; SAM gives another version another id."""
    made = Translator({}, Parser()).translate(template, {})
    found = made["Resources"].items()
    return sorted(name for name, item in found if item["Type"] == "AWS::Lambda::Version")


if __name__ == "__main__":
    json.dump([versions(template) for template in json.load(sys.stdin)], sys.stdout)
