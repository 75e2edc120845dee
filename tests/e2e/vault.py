"""The almanac with a bucket in its stack: an application that has something to lose."""

from pathlib import Path

import sources
from sources import ALMANAC, copied, replace
from syndi_command import Syndi

ACCOUNT = "000000000000"
BUCKET = """
  Vault:
    Type: AWS::S3::Bucket
    Condition: HasVault
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Properties:
      BucketName: !Sub 'almanac-vault-${Environment}-${Organization}-${AWS::AccountId}'

Outputs:
"""


def push(syndi: Syndi, directory: Path, *changes: tuple[str, str]) -> str:
    """Push the almanac with a vault, and with `changes` (old, new) of its template; its SHA-256.

    It is copied below `directory`. What `dev` deploys stays what it is: tests name their source.
    """
    almanac = copied(ALMANAC, directory)
    manifest = almanac / "application.toml"
    if "[package]" not in manifest.read_text():
        replace(manifest, "[stack]\n", '[package]\ncode = "almanac"\ninto = "almanac"\n\n[stack]\n')
    replace(
        manifest,
        'function = "AlmanacFunction"',
        'function = "AlmanacFunction"\nstateful_types = ["AWS::S3::Bucket"]\n'
        '[stack.parameters]\ncreate_buckets = "CreateBuckets"\n'
        '[stack.first_deployment]\nCreateBuckets = "true"',
    )
    for old, new in (
        ("Parameters:\n", "Parameters:\n  CreateBuckets: {Type: String, Default: 'false'}\n"),
        ("Conditions:\n", "Conditions:\n  HasVault: !Equals [!Ref CreateBuckets, 'true']\n"),
        ("\nOutputs:\n", BUCKET),
        *changes,
    ):
        replace(almanac / "stack.yaml", old, new)
    return sources.push_beside(syndi, almanac, "dev")


def bucket(org: str) -> str:
    """The name of a tenant's vault."""
    return f"almanac-vault-dev-{org}-{ACCOUNT}"


def put(syndi: Syndi, org: str) -> None:
    """Something in a tenant's vault."""
    syndi.client("s3").put_object(Bucket=bucket(org), Key="ledger", Body=b"do not lose me")


def data(syndi: Syndi, org: str) -> bytes:
    """What was put there."""
    body = syndi.client("s3").get_object(Bucket=bucket(org), Key="ledger")["Body"]
    return bytes(body.read())
