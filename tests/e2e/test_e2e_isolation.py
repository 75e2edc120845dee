"""A tenant that could reach another one is refused before anything of it changes."""

from pathlib import Path
from typing import Any

from live import change_sets, entered
from sources import BACKEND, copied, push, replace
from syndi_command import Syndi

VICTIM = "rawscribe-eln-stage-alpha"


def test_a_role_that_reads_other_tenants_never_gets_there(
    syndi: Syndi, alpha: dict[str, Any], tmp_path: Path
) -> None:
    """The function was green, and served another tenant's notebooks."""
    copy = copied(BACKEND, tmp_path)
    template = copy / "template.yaml"
    own = "'rawscribe-eln-${Environment}-${Organization}-${AWS::AccountId}'"
    replace(template, f"ELN_BUCKET: !Sub {own}", f"ELN_BUCKET: '{VICTIM}-000000000000'")
    config = "'arn:${AWS::Partition}:s3:::rawscribe-lambda-${Environment}-${Organization}"
    replace(
        template,
        f"Action: s3:GetObject\n                Resource: !Sub {config}"
        "-${AWS::AccountId}/config.json'",
        "Action: ['s3:GetObject', 's3:ListBucket']\n                Resource: '*'",
    )
    refused = syndi.fail("test", "thief", "--source", push(syndi, copy, "test"))
    assert "LambdaExecutionRole, policy own-tenant, statement 3 (ReadConfig)" in refused["reason"]
    assert f"ELN_BUCKET: names {VICTIM}, another tenant's" in refused["reason"]
    assert change_sets(syndi, "rawscribe-test-thief") == []
    assert "ExecuteChangeSet" not in entered(syndi.show(refused["id"]))
