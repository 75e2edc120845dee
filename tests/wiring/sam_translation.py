"""The template as CloudFormation gets it: what SAM makes of it, by SAM's own translator."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

from asl_graph import ROOT, Json
from sam_template import TEMPLATE_FILE

PYTHON = ROOT / ".tools" / "sam" / "bin" / "python"
EXPANDER = Path(__file__).with_name("sam_expander.py")


@cache
def translated(text: str | None = None) -> dict[str, Json]:
    """The resources of a SAM template's text, by default of the control plane's own."""
    assert PYTHON.exists(), f"{PYTHON} is missing: run `make tools`"
    done = subprocess.run(
        [PYTHON, EXPANDER], input=text or TEMPLATE_FILE.read_text(), capture_output=True,
        text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["Resources"])
