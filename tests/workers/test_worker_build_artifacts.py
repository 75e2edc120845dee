"""The copy of a build for another tenant: complete, readdressed, and of this owner only."""

import pytest
import scripted_aws as scripted
from botocore.exceptions import ClientError
from worker_builders import ARTIFACTS

from control_plane import aws
from control_plane.services.build_artifacts import adopt, artifact_names, exists

pytestmark = pytest.mark.usefixtures("world")
OWNER, OTHER = "notes-stage-lab", "notes-stage-beta"
# What `sam package` writes: most artifacts as s3:// addresses, some as bucket and key.
TEMPLATE = f"""
Resources:
  Function: {{Properties: {{CodeUri: s3://{ARTIFACTS}/{OWNER}/c0de}}}}
  Layer: {{Properties: {{ContentUri: s3://{ARTIFACTS}/{OWNER}/1a4e5}}}}
  Neighbour: {{Properties: {{CodeUri: s3://{ARTIFACTS}/{OWNER}2/c0de}}}}
  Elsewhere: {{Properties: {{CodeUri: s3://public-bucket/{OWNER}/c0de}}}}
"""
MACHINE = f"""
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri:
        Bucket: {ARTIFACTS}
        Key: {OWNER}/de71n1710n
"""


def put(key: str, text: str = "x") -> None:
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=text.encode())


def text(key: str) -> str:
    return aws.s3().get_object(Bucket=ARTIFACTS, Key=key)["Body"].read().decode()


def copied(template: str) -> str:
    put(f"{OWNER}/builds/f00/template.yaml", template)
    for name in ("c0de", "1a4e5", "de71n1710n"):
        put(f"{OWNER}/{name}", name)
    return adopt(ARTIFACTS, "f00", OWNER, OTHER)


def test_the_owner_uses_what_is_there() -> None:
    put(f"{OWNER}/builds/f00/template.yaml", TEMPLATE)
    assert adopt(ARTIFACTS, "f00", OWNER, OWNER) == f"{OWNER}/builds/f00/template.yaml"


def test_artifacts_are_copied_and_the_template_readdressed() -> None:
    key = copied(TEMPLATE)
    assert key == f"{OTHER}/builds/f00/template.yaml"
    assert (text(f"{OTHER}/c0de"), text(f"{OTHER}/1a4e5")) == ("c0de", "1a4e5")
    assert f"s3://{ARTIFACTS}/{OTHER}/c0de" in text(key)
    assert f"s3://{ARTIFACTS}/{OWNER}/" not in text(key)


def test_a_neighbours_and_a_strangers_addresses_stay_as_they_are() -> None:
    found = text(copied(TEMPLATE))
    assert f"s3://{ARTIFACTS}/{OWNER}2/c0de" in found
    assert f"s3://public-bucket/{OWNER}/c0de" in found


def test_only_the_owners_artifacts_are_named() -> None:
    assert artifact_names(TEMPLATE, ARTIFACTS, OWNER) == ["1a4e5", "c0de"]


def test_an_artifact_that_is_given_by_bucket_and_key_is_copied_too() -> None:
    key = copied(MACHINE)
    assert exists(ARTIFACTS, f"{OTHER}/de71n1710n")
    assert f"Key: {OTHER}/de71n1710n" in text(key)


def test_a_copy_is_made_once() -> None:
    key = copied(TEMPLATE)
    put(key, "changed since")
    assert adopt(ARTIFACTS, "f00", OWNER, OTHER) == key
    assert text(key) == "changed since"


def test_a_copy_that_was_cut_off_is_completed() -> None:
    put(f"{OTHER}/c0de", "c0de")
    assert text(copied(TEMPLATE)).count(OTHER) == 2
    assert exists(ARTIFACTS, f"{OTHER}/1a4e5")


def test_a_template_that_could_not_be_looked_at_is_not_missing(script: scripted.Scripted) -> None:
    script.on(aws.s3(), "HeadObject", scripted.failure("SlowDown"))
    with pytest.raises(ClientError, match="SlowDown"):
        exists(ARTIFACTS, "any")
