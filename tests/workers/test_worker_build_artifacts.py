"""What a build made, and its copy for a tenant: complete, readdressed, and what was built."""

import base64
import hashlib

import pytest
import scripted_aws as scripted
from botocore.exceptions import ClientError
from worker_builders import ARTIFACTS

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.services.build_artifacts import (
    ArtifactsMissing,
    adopt,
    code_digests,
    digests,
    exists,
    problems,
)

pytestmark = pytest.mark.usefixtures("world")
OUTPUT, OTHER = "builds/stage/notes/f00", "notes-stage-beta"
# What `sam package` writes: most artifacts as s3:// addresses, some as bucket and key, and nested
# stacks as https:// addresses.
TEMPLATE = f"""
Resources:
  Function: {{Properties: {{CodeUri: s3://{ARTIFACTS}/{OUTPUT}/c0de}}}}
  Layer: {{Properties: {{ContentUri: s3://{ARTIFACTS}/{OUTPUT}/1a4e5}}}}
  Nested: {{Properties: {{TemplateURL: https://s3.us-east-1.amazonaws.com/{ARTIFACTS}/{OUTPUT}/n.template}}}}
  Neighbour: {{Properties: {{CodeUri: s3://{ARTIFACTS}/{OUTPUT}2/c0de}}}}
  Elsewhere: {{Properties: {{CodeUri: s3://public-bucket/{OUTPUT}/c0de}}}}
"""
NESTED = f"""
Resources:
  Deeper: {{Properties: {{Location: https://{ARTIFACTS}.s3.eu-west-1.amazonaws.com/{OUTPUT}/d.template}}}}
"""
DEEPER = f"""
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri:
        Bucket: {ARTIFACTS}
        Key: {OUTPUT}/de71n1710n
"""
FILES = {
    "c0de": "c0de", "1a4e5": "1a4e5", "de71n1710n": "de71n1710n",
    "n.template": NESTED, "d.template": DEEPER, "template.yaml": TEMPLATE,
}  # fmt: skip


def put(key: str, text: str = "x") -> None:
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=text.encode())


def text(key: str) -> str:
    return aws.s3().get_object(Bucket=ARTIFACTS, Key=key)["Body"].read().decode()


def recorded() -> dict[str, JsonObject]:
    """A build that has just ended, as it is recorded."""
    for name, content in FILES.items():
        put(f"{OUTPUT}/{name}", content)
    return digests(ARTIFACTS, f"{OUTPUT}/template.yaml", OUTPUT)


def copied(artifacts: dict[str, JsonObject] | None = None) -> dict[str, JsonObject]:
    return adopt(ARTIFACTS, "f00", OUTPUT, artifacts or recorded(), OTHER)


def sha256(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def test_all_that_a_build_refers_to_is_recorded_also_behind_nested_stacks() -> None:
    found = recorded()
    assert found.keys() == {f"{OUTPUT}/{name}" for name in FILES}
    assert found[f"{OUTPUT}/1a4e5"]["sha256"] == sha256("1a4e5")
    packages = {f"{OUTPUT}/{name}": sha256(name) for name in ("c0de", "1a4e5", "de71n1710n")}
    assert code_digests(found) == packages


@pytest.mark.parametrize("lost", FILES)
def test_a_build_that_has_not_all_that_it_refers_to_is_none(lost: str) -> None:
    recorded()
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"{OUTPUT}/{lost}")
    with pytest.raises(ArtifactsMissing, match=f"{lost} is gone"):
        digests(ARTIFACTS, f"{OUTPUT}/template.yaml", OUTPUT)


def test_artifacts_are_copied_and_the_templates_readdressed() -> None:
    copied()
    assert (text(f"{OTHER}/c0de"), text(f"{OTHER}/1a4e5")) == ("c0de", "1a4e5")
    for key in (f"{OTHER}/builds/f00/template.yaml", f"{OTHER}/n.template", f"{OTHER}/d.template"):
        assert f"{OTHER}/" in text(key)
        assert f"{ARTIFACTS}/{OUTPUT}/" not in text(key)
    assert f"Key: {OTHER}/de71n1710n" in text(f"{OTHER}/d.template")
    assert text(f"{OTHER}/de71n1710n") == "de71n1710n"


def test_a_neighbours_and_a_strangers_addresses_stay_as_they_are() -> None:
    copied()
    found = text(f"{OTHER}/builds/f00/template.yaml")
    assert f"s3://{ARTIFACTS}/{OUTPUT}2/c0de" in found
    assert f"s3://public-bucket/{OUTPUT}/c0de" in found


def test_what_is_recorded_of_a_copy_is_what_lies_there() -> None:
    found = copied()
    assert problems(ARTIFACTS, found) == {}
    put(f"{OTHER}/c0de", "changed since")
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"{OTHER}/n.template")
    assert problems(ARTIFACTS, found) == {
        f"{OTHER}/c0de": "was changed",
        f"{OTHER}/n.template": "is gone",
    }


def test_the_same_contents_put_there_again_were_not_changed() -> None:
    found = copied()
    put(f"{OTHER}/c0de", "c0de")
    assert problems(ARTIFACTS, found) == {}


def test_what_is_copied_is_what_was_built_and_not_what_somebody_put_there_since() -> None:
    artifacts = recorded()
    for name in FILES:
        put(f"{OUTPUT}/{name}", "poisoned")
    copied(artifacts)
    assert text(f"{OTHER}/c0de") == "c0de"
    assert "poisoned" not in text(f"{OTHER}/builds/f00/template.yaml")


def test_without_versions_what_was_changed_is_not_copied() -> None:
    artifacts = {key: {**one, "version": ""} for key, one in recorded().items()}
    put(f"{OUTPUT}/c0de", "poisoned")
    with pytest.raises(ArtifactsMissing, match="c0de was changed"):
        copied(artifacts)
    assert problems(ARTIFACTS, artifacts) == {f"{OUTPUT}/c0de": "was changed"}


def test_an_artifact_that_did_not_change_stays_as_it_is() -> None:
    """CloudFormation would replace the layer, and a version that was recorded would be gone."""
    before = copied()
    assert copied()[f"{OTHER}/1a4e5"] == before[f"{OTHER}/1a4e5"]


def test_a_copy_that_was_cut_off_or_changed_is_completed() -> None:
    put(f"{OTHER}/c0de", "something else")
    copied()
    assert (text(f"{OTHER}/c0de"), text(f"{OTHER}/1a4e5")) == ("c0de", "1a4e5")


def test_a_template_that_could_not_be_looked_at_is_not_missing(script: scripted.Scripted) -> None:
    script.on(aws.s3(), "HeadObject", scripted.failure("SlowDown"))
    with pytest.raises(ClientError, match="SlowDown"):
        exists(ARTIFACTS, "any")
