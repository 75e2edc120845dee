"""What to do about a failure, as a table; and every error that ends a deployment is in it."""

import json
import re
from pathlib import Path

import pytest

import control_plane.errors
from control_plane.errors import ControlPlaneError
from control_plane.models import Env, Tenant
from control_plane.rules import hints
from control_plane.rules.hints import NEEDS_NONE, UNEXPECTED, hint

ROOT = Path(__file__).parents[2]
BUCKET = "FormsBucket (AWS::S3::Bucket): rawscribe-forms already exists"

CASES = [
    ("AwaitStack", "StackFailed", "A: missing permission s3:X on y for role z", "syndi install"),
    ("AwaitStack", "StackFailed", "missing permission s3:X for role z (no permissions boundary "
     "allows it)", "TenantBoundary"),
    ("AwaitStack", "StackFailed", "missing permission s3:X for role z (denied explicitly in a "
     "service control policy)", "explicit deny"),
    ("CheckStack", "ServiceBusy", "AWS is busy: Rate exceeded", "in a few minutes"),
    ("CheckStack", "ServiceBusy", "AWS is busy: reset by peer", "in a few minutes"),
    ("AcquireLock", "LockTimedOut", "the tenant was not free", "syndi history ENV ORG"),
    ("AcquireLock", "LockTimedOut", "the tenant was not free within 60 minutes; at the end it "
     "waits for the approval of 1 since 2", "approve or reject"),
    ("AwaitBuild", "BuildFailed", "BUILD: uv: Hash mismatch for `x==1`", "--generate-hashes"),
    ("AwaitBuild", "BuildFailed", "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS "
     "FILE", "--generate-hashes"),
    ("AwaitBuild", "BuildFailed", "x has no wheels with a matching platform tag", "no wheel"),
    ("AwaitBuild", "BuildFailed", "the build b:1 was timed out", "retry ID"),
    ("AwaitBuild", "BuildFailed", "BUILD: exit status 1", "end of the build's log"),
    ("FindBuild", "NoSuchBuild", "there is none", "syndi deploy ENV ORG"),
    ("FindBuild", "NoSuchBuild", "build 0 is not complete any more (x is gone): deploy in full",
     "makes a build"),
    ("FindBuild", "NoSuchBuild", "s has no deployment 1: see its history", "has the ids"),
    ("FindBuild", "NoSuchBuild", "deployment 1 ended FAILED", "has the ids"),
    ("FindBuild", "NoSuchBuild", "deployment 1 patched the function only", "has the ids"),
    ("FindBuild", "NoSuchBuild", "deployment 1 was a dry run", "has the ids"),
    ("FindBuild", "NoSuchBuild", "build 0 is not complete any more (x is gone): nobody can go "
     "back to it any more", "has the ids"),
    ("FindBuild", "NoSuchBuild", "s had no good deployment of another build or configuration "
     "before 1", "nothing to go back to: mend the source"),
    ("AwaitChangeSet", "ReplacementRefused", "Pool (AWS::Cognito::UserPool) would be removed, "
     "Data (AWS::S3::Bucket) would be replaced: lost",
     "--allow-replacement Pool --allow-replacement Data"),
    ("AwaitStack", "StackFailed", BUCKET, "--no-create-buckets"),
    ("AwaitStack", "StackFailed", "Role (AWS::IAM::Role): x already exists", "has that name"),
    ("AwaitStack", "StackFailed", "Eip (AWS::EC2::EIP): The maximum number of addresses has been "
     "reached. (AddressLimitExceeded)", "Service Quotas"),
    ("AwaitStack", "StackFailed", "F (AWS::Lambda::Function): Code storage limit exceeded",
     "Service Quotas"),
    ("AwaitStack", "StackFailed", "B (AWS::S3::Bucket): You have attempted to create more buckets "
     "than allowed (ServiceLimitExceeded)", "Service Quotas"),
    ("CreateChangeSet", "ChangeSetFailed", "the template was refused: x", "fix it"),
    ("CreateChangeSet", "ChangeSetFailed", "the template was refused: Role arn:aws:iam::1:role/cp "
     "is invalid or cannot be assumed", "syndi install"),
    ("CreateChangeSet", "ChangeSetFailed", "the template was refused: Stack:arn is in "
     "UPDATE_IN_PROGRESS state and can not be updated.", "let the other change"),
    ("CreateChangeSet", "ChangeSetFailed", "the template was refused: Stack:arn is in "
     "ROLLBACK_COMPLETE state and can not be updated.", "looks at it again"),
    ("AwaitChangeSet", "ChangeSetFailed", "no change set could be made: refused by the hook "
     "Acme::Guard: no", "hook's owner"),
    ("AwaitStack", "StackFailed", "Files (AWS::S3::Bucket): The following hook(s)/validation "
     "failed: [Acme::Guard]; the stack is ROLLBACK_COMPLETE", "hook's owner"),
    ("AwaitStack", "StackFailed", "the change set was not executed: no operation began", "retry"),
    ("AwaitStack", "StackFailed", "notes-stage-alpha disappeared", "looks at it again"),
    ("ExecuteChangeSet", "StackFailed", "the change set could not be executed: no", "retry ID"),
    ("AwaitDeletion", "StackFailed", "the failed stack could not be deleted: Files: not empty",
     "'syndi offboard ENV ORG' finishes"),
    ("AwaitRemoval", "StackFailed", "the deletion stopped half way; offboard again to finish it "
     "and keep what blocked it: Files: not empty", "same 'syndi offboard'"),
    ("DetectDrift", "StackFailed", "s could not be compared with its template: x", "retry ID"),
    ("AwaitChangeSet", "ReplacementRefused", "the change set would adopt what is not certainly "
     "s's: T (AWS::DynamoDB::Table t) is another tenant's", "${Environment}-${Organization}"),
    ("CheckStack", "StackRefused", "deleting the stack would destroy what holds data and has no "
     "DeletionPolicy that retains it: T", "--purge"),
    ("CheckStack", "StackRefused", "s is DELETE_FAILED: a deletion stopped", "syndi offboard"),
    ("CheckStack", "StackRefused", "s does not exist: nothing is deployed to compare",
     "deploy it in full first: 'syndi deploy ENV ORG'"),
    ("CheckStack", "StackRefused", "s is ROLLBACK_COMPLETE: x, and function mode needs a healthy "
     "stack: deploy", "in full first"),
    ("CheckStack", "StackRefused", "s is UPDATE_ROLLBACK_FAILED: x", "mend the resource"),
    ("AwaitStack", "StackFailed", "A (T): x; the stack is UPDATE_ROLLBACK_FAILED", "stuck"),
    ("AwaitStack", "StackFailed", "A (T): x; the stack is ROLLBACK_COMPLETE", "rolled back"),
    ("AwaitApproval", "States.Timeout", "AwaitApproval: nobody approved", "before 24 hours"),
    ("AwaitApproval", "ApprovalRejected", "rejected by x", "whoever rejected it"),
    ("CreateChangeSet", "ChangeSetFailed", "the build's packaged template s3://b/k is gone",
     "builds it again"),
    ("AwaitChangeSet", "ChangeSetFailed", "stack x is not that of this deployment, which is y",
     "another tenant"),
    ("AcquireLock", "WrongTenant", "PrepareDeployment answered x", "another tenant"),
    ("SyncConfig", "ConfigInvalid", "bucket b, which application.toml names for the "
     "configuration, does not exist", "creates the bucket"),
    ("SyncConfig", "ConfigInvalid", "UploadConfig did not say which version of the stored "
     "overrides it used", "'syndi deploy ENV ORG'"),
    ("UploadConfig", "ConfigInvalid", "config/base.json is no JSON", "configuration files"),
    ("CreateAdmin", "AdminFailed", "Password did not conform with policy", "longer password"),
    ("RunTests", "TestsFailed", "sign-in: the pool takes no user: Password did not conform "
     "with policy: 99; the previous good build was put back and works", "fix the source"),
    ("RunTests", "TestsFailed", "sign-in: the pool takes no user: Password did not conform "
     "with policy: 99; there is no previous good build to roll back to", "see the function's log"),
    ("RunTests", "TestsFailed", "/x: expected 200, got 429 Too Many Requests: over its quota; the "
     "previous good build was put back and works", "fix the source"),
    ("RunTests", "TenantNotReady", "/health: expected build a at b, got c", "stamp"),
    ("SyncConfig", "OutputRefused", "output P names 'x', which does not belong to the stack s: y",
     "correct the output"),
    ("RunTests", "TestsFailed", "no-token: expected 401, got 200", "syndi rollback ENV ORG"),
    ("RunTests", "TestsFailed", "x; the previous good build was put back and works",
     "the previous good build runs"),
    ("RunTests", "TestsFailed", "x; and rolling back failed in AwaitStack: y", "half way"),
    ("RunTests", "TestsFailed", "x; there is no previous good build to roll back to",
     "function's log"),
    ("AwaitTrial", "TrialFailed", "x; the previous good build was put back and works",
     "the version before runs"),
    ("AwaitTrial", "TrialTimedOut", "x; and rolling back failed in AwaitStack: y", "syndi install"),
    ("RunTests", "States.Timeout", "RunTests: States.Timeout", "too slow or died"),
    ("CheckStack", "KeyError", "CheckStack: 'x'", "did not expect"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "error", "reason", "told"), CASES)
def test_a_failure_has_the_hint_that_fits(state: str, error: str, reason: str, told: str) -> None:
    assert told in (hint(state, error, reason) or "")


def errors_that_end_a_deployment() -> set[str]:
    """The classes of errors.py, and what the state machine itself fails with."""
    classes = {
        name
        for name, found in vars(control_plane.errors).items()
        if isinstance(found, type) and issubclass(found, ControlPlaneError)
    } - {"ControlPlaneError"}
    machine = json.loads((ROOT / "state_machine.asl.json").read_text())
    own = set(re.findall(r'"error": "([A-Za-z]+)"', json.dumps(machine)))
    assert len(own) > 5
    return classes | own


@pytest.mark.parametrize("error", sorted(errors_that_end_a_deployment()))
def test_every_error_has_a_hint_or_needs_none(error: str) -> None:
    told = hint("AwaitStack", error, "why")
    assert (told is None) == (error in NEEDS_NONE)
    assert told != UNEXPECTED, "a row of its own says more"


def test_every_row_is_the_first_that_fits_some_failure() -> None:
    """A row that another one always hides would never be read."""
    found = {
        next((row.todo for row in hints.TABLE if row.fits(state, error, reason)), None)
        for state, error, reason, _ in CASES
    }
    found |= {
        next((row.todo for row in hints.TABLE if row.fits("X", error, "why")), None)
        for error in errors_that_end_a_deployment()
    }
    assert [row.todo for row in hints.TABLE if row.todo not in found] == []


def test_a_hint_is_made_out_for_its_tenant_and_deployment() -> None:
    of = Tenant(application="notes", env=Env.STAGE, org="alpha")
    todo = "'syndi history ENV ORG', 'syndi retry ID' and 'syndi cancel' with its ID"
    told = hints.addressed(todo, of, "d-1", "notes")
    assert told == "'syndi history stage alpha', 'syndi retry d-1' and 'syndi cancel' with its ID"
    told = hints.addressed(todo, of, "d-1", "rawscribe")
    assert told is not None
    assert "'syndi history stage alpha --application notes'" in told
    assert hints.addressed(None, of, "d-1", "notes") is None


REFUSED = (
    "Data/Orders (AWS::DynamoDB::Table) would lose its protection: x. Nothing was changed. "
    "allow_replacement with its name permits it: --allow-replacement Data/Orders "
    "--allow-replacement Jobs"
)


@pytest.mark.parametrize(
    ("mode", "to", "command"),
    [
        ("full", "", "deploy stage alpha"),
        ("deploy-only", "", "deploy stage alpha --mode deploy-only"),
        ("rollback", "", "rollback stage alpha"),
        (
            "rollback",
            "20261129-023634-923xtgqe",
            "rollback stage alpha --to 20261129-023634-923xtgqe",
        ),
    ],
)
def test_what_permits_a_loss_asks_for_the_same_once_more(mode: str, to: str, command: str) -> None:
    """After a refused rollback, 'deploy' would bring the source that is to be got rid of."""
    of = Tenant(application="notes", env=Env.STAGE, org="alpha")
    todo = hint("AwaitChangeSet", "ReplacementRefused", REFUSED)
    options = "--allow-replacement Data/Orders --allow-replacement Jobs"
    assert f"'syndi {command} {options}'" in str(
        hints.addressed(todo, of, "ID1", "notes", mode=mode, to=to)
    )
    todo = hints.addressed("then 'syndi retry ID'", of, "ID1", "notes", mode=mode, to=to)
    again = command if mode == "rollback" else "retry ID1"
    assert todo == f"then 'syndi {again}'"


def test_a_hint_about_the_control_plane_names_its_own_verbs() -> None:
    own = Tenant(application="control-plane", env=Env.PROD, org="main")
    told = hint("AwaitStack", "StackFailed", "A (T): x; the stack is UPDATE_ROLLBACK_COMPLETE")
    assert "'syndi self-update'" in str(hints.addressed(told, own, "ID1", "notes"))
    told = hint(
        "AwaitChangeSet",
        "ReplacementRefused",
        "Table (AWS::DynamoDB::Table) would be removed: lost",
    )
    assert "'syndi self-update --allow-replacement Table'" in str(
        hints.addressed(told, own, "ID1", "notes")
    )


API_DIED = "RunTests: /health: expected 200, got 500; and rolling back failed in RunTests: the same"


@pytest.mark.parametrize(
    ("state", "error", "reason", "told"),
    [
        ("RunTests", "TestsFailed", API_DIED, "'syndi install'"),
        ("AwaitStack", "KeyError", "x; and rolling back failed in A: y", "'syndi install'"),
        ("AwaitTrial", "Cancelled", "x; and rolling back failed in C: y", "'syndi install'"),
        ("RunTests", "States.Timeout", "x; and rolling back failed in z: y", "'syndi install'"),
        ("AwaitStack", "StackFailed", "A (T): x; the stack is UPDATE_ROLLBACK_FAILED",
         "'syndi install'"),
        ("CheckStack", "StackRefused", "s is DELETE_FAILED: a deletion stopped",
         "'syndi uninstall'"),
    ],
)  # fmt: skip
def test_what_repairs_a_control_plane_does_not_go_through_it(
    state: str, error: str, reason: str, told: str
) -> None:
    own = Tenant(application="control-plane", env=Env.PROD, org="main")
    found = hints.addressed(hint(state, error, reason), own, "ID1", "notes", reason=reason)
    assert found is not None
    assert told in found
    assert "retry" not in found
    assert "rollback" not in found
    tenant = Tenant(application="notes", env=Env.PROD, org="main")
    assert (
        hints.addressed("'syndi retry ID'", tenant, "1", "notes", reason=reason)
        == "'syndi retry 1'"
    )
