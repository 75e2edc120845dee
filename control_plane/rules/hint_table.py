"""Which hint is for which failure: a table, read from above, the first row that fits. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`states`, `errors` (empty: any) and `reason` (a pattern, ignoring case) say when.

    The patterns are from the messages of AWS, uv, pip and of this project's own workers.
    """

    todo: str
    errors: tuple[str, ...] = ()
    reason: str = ""
    states: tuple[str, ...] = ()

    def fits(self, state: str, error: str, reason: str) -> bool:
        """Whether the row is about such a failure."""
        here = not self.states or state in self.states
        named = not self.errors or error in self.errors
        return here and named and re.search(self.reason, reason, re.IGNORECASE) is not None


STACK = ("StackFailed", "ChangeSetFailed")
TESTS = ("TestsFailed", "TenantNotReady", "OutputRefused", "ProofIncomplete")

TRIAL = ("TrialFailed", "TrialTimedOut")

PUT_BACK = "the previous good build runs: fix the source, 'syndi source push' it, deploy again"

_ANSWERED_WRONG = (
    "a worker answered for another tenant: see the log of the worker of the step before; 'syndi "
    "retry ID' tries again"
)

TABLE = (
    # A new version of the control plane -----------------------------------------------------------
    Row(
        "the version before runs as it did: mend what is named, then 'syndi self-update'",
        errors=TRIAL,
        reason=r"the previous good build was put back",
    ),
    Row(
        "the control plane is not proven: 'syndi install', from a checkout that worked, puts it "
        "right",
        errors=TRIAL,
    ),
    # Tests that failed, first: their reason has the tenant's own words in it, which say nothing of
    # this account ("too many requests", "quota").
    Row(
        PUT_BACK,
        errors=("TestsFailed", "TenantNotReady"),
        reason=r"the previous good build was put back",
    ),
    # A permission is missing ----------------------------------------------------------------------
    Row(
        "the tenant's roles can do no more than the control plane's TenantBoundary (template.yaml) "
        "allows: let the application do without, or widen the boundary and run 'syndi install'",
        reason=r"missing permission .*permissions boundary",
    ),
    Row(
        "an explicit deny wins over every permission: ask whoever owns that policy, "
        "then 'syndi retry ID'",
        reason=r"missing permission .*(?:denied explicitly|(?:service|resource) control policy)",
    ),
    Row(
        "'syndi install' puts the control plane's roles right; to any other role add the "
        "permission; then 'syndi retry ID'",
        reason=r"missing permission",
    ),
    # Somebody or something else is busy -----------------------------------------------------------
    Row(
        "too many requests at once: 'syndi retry ID' in a few minutes",
        reason=r"rate exceeded|throttl|too ?many ?requests|slow ?down",
    ),
    Row("'syndi retry ID' in a few minutes", errors=("ServiceBusy",)),
    Row(
        "approve or reject that deployment, then 'syndi retry ID'; with --on-conflict supersede a "
        "deployment takes its place",
        errors=("LockTimedOut",),
        reason=r"waits for the approval of",
    ),
    Row(
        "'syndi history ENV ORG' shows who has the tenant; 'syndi cancel' with its ID ends it",
        errors=("LockTimedOut", "DeploymentInProgress"),
    ),
    Row(
        "'syndi slots show' says who has the slots, 'syndi slots set' changes their number; then "
        "deploy again, what is urgent with --priority urgent",
        errors=("SlotTimedOut",),
    ),
    Row(
        "let the other change of the stack end (see its events in CloudFormation), "
        "then 'syndi retry ID'",
        errors=("StackBusy",),
    ),
    # The build ------------------------------------------------------------------------------------
    Row(
        "the lock file does not fit its packages: make it anew with "
        "'uv pip compile --generate-hashes', push the source, deploy again",
        errors=("BuildFailed",),
        reason=r"hash mismatch|do not match the hashes|hashes? (?:is|are) (?:missing|required)",
    ),
    Row(
        "a dependency has no wheel for Lambda's platform or Python: lock another version of it, "
        "push the source, deploy again",
        errors=("BuildFailed",),
        reason=r"no matching distribution|no solution found|has no (?:usable )?wheels?",
    ),
    Row(
        "'syndi retry ID'; when it lasts too long again, see what its log stops at",
        errors=("BuildFailed",),
        reason=r"was timed out|was stopped|does not know",
    ),
    Row("see what its log in CodeBuild stops at; 'syndi retry ID'", errors=("BuildTimedOut",)),
    Row(
        "'syndi show ID' has the end of the build's log; mend the source, 'syndi source push' it, "
        "deploy again",
        errors=("BuildFailed",),
    ),
    # Of a rollback, first: whoever asks for one does so because the current source is bad.
    Row(
        "there is nothing to go back to: mend the source, 'syndi source push' it, deploy again",
        errors=("NoSuchBuild",),
        reason=r"had no good deployment of another build",
    ),
    Row(
        "'syndi history ENV ORG' has the ids: any deployment that SUCCEEDED with a build and was "
        "no dry run",
        errors=("NoSuchBuild",),
        reason=r"has no deployment |deployment \S+ (?:ended|patched|was)|nobody can go back to it",
    ),
    Row("'syndi deploy ENV ORG' makes a build", errors=("NoSuchBuild",)),
    # The change set and the stack -----------------------------------------------------------------
    Row(
        "put ${Environment}-${Organization} into the resource's name in the template and "
        "'syndi source push' it, deploy again; what is this tenant's all the same needs its tag",
        errors=("ReplacementRefused",),
        reason=r"would adopt what is not certainly",
    ),
    Row(
        "when that data may be lost: 'syndi deploy ENV ORG --allow-replacement NAME'",
        errors=("ReplacementRefused",),
    ),
    Row(
        "fix the template (docs/application.md, Isolation), 'syndi source push' it, deploy again",
        errors=("IsolationRefused",),
    ),
    Row(
        "when the bucket is this tenant's own, give it 'DeletionPolicy: RetainExceptOnCreate' in "
        "the template, 'syndi source push' it, deploy again: it is adopted with what is in it "
        "(where the template leaves buckets out, 'syndi deploy ENV ORG --no-create-buckets' uses "
        "it as it is); otherwise remove or rename it, then 'syndi retry ID'",
        errors=STACK,
        reason=r"bucket.*(?:already (?:exists|owned)|AlreadyExists|AlreadyOwned)",
    ),
    Row(
        "something else has that name: remove it or take it out of the other stack, then 'syndi "
        "retry ID'; what is this tenant's own is adopted with 'DeletionPolicy: "
        "RetainExceptOnCreate' in the template",
        errors=STACK,
        reason=r"already exists|AlreadyExists",
    ),
    Row(
        "a limit of the account is reached: remove what nobody needs or raise it in Service "
        "Quotas, then 'syndi retry ID'",
        reason=r"limit ?exceeded|limit has been (?:reached|exceeded)|exceeded? (?:the|your) [\w ]*"
        r"(?:limit|quota|maximum)|maximum number of|too many (?:functions|buckets|roles)|quota",
    ),
    Row(
        "'syndi deploy ENV ORG' builds it again",
        errors=("ChangeSetFailed",),
        reason=r"packaged template .* is gone",
    ),
    Row(_ANSWERED_WRONG, errors=("WrongTenant",)),
    Row(_ANSWERED_WRONG, errors=("ChangeSetFailed",), reason=r"is not that of this deployment"),
    Row(
        "'syndi install' puts the control plane's roles right; then 'syndi retry ID'",
        errors=STACK,
        reason=r"\brole\b.*(?:is invalid or )?cannot be assumed",
    ),
    Row(
        "let the other change of the stack end (see its events in CloudFormation), "
        "then 'syndi retry ID'",
        errors=STACK,
        reason=r"is in \w+_IN_PROGRESS state",
    ),
    Row(
        "the stack changed meanwhile: 'syndi retry ID' looks at it again",
        errors=STACK,
        reason=r"is in \w+ state and can ?not be (?:updated|executed)|disappeared|was not executed|"
        r"nobody looked at what the change set",
    ),
    Row(
        "do what the hook asks for in the template, 'syndi source push' it, deploy again; an "
        "exception is up to the hook's owner in this account (CloudFormation, Hooks)",
        errors=STACK,
        reason=r"refused by the hook|hook\(s\)(?:/validation)? failed",
    ),
    Row(
        "the template is wrong at that place: fix it, 'syndi source push' it, deploy again",
        errors=("ChangeSetFailed",),
    ),
    Row(
        "'syndi offboard ENV ORG --purge' removes the data for good; to keep it, give the resource "
        "'DeletionPolicy: RetainExceptOnCreate' in the template, deploy, and offboard again",
        errors=("StackRefused",),
        reason=r"would destroy what holds data",
    ),
    Row(
        "'syndi offboard ENV ORG' finishes the deletion and says what is left; then deploy again",
        errors=("StackRefused",),
        reason=r"DELETE_FAILED",
    ),
    Row(
        "deploy it in full first: 'syndi deploy ENV ORG'",
        errors=("StackRefused",),
        reason=r" does not exist: |needs a healthy stack|nothing is deployed|first creation failed",
    ),
    Row(
        "mend the resource that is named (see the stack's events in CloudFormation), "
        "then 'syndi retry ID'",
        errors=("StackRefused",),
    ),
    Row(
        "the rollback is stuck too: mend the resource that is named; 'syndi retry ID' continues "
        "the rollback and deploys",
        errors=("StackFailed",),
        reason=r"the stack is UPDATE_ROLLBACK_FAILED|rollback could not be continued",
    ),
    Row(
        "empty or remove what is named and the same 'syndi offboard' finishes the deletion, or "
        "leave it: then it is kept outside the stack",
        errors=("StackFailed",),
        states=("AwaitRemoval", "DeleteStack"),
    ),
    Row(
        "'syndi offboard ENV ORG' finishes the deletion and says what is left; then deploy again",
        errors=("StackFailed",),
        states=("AwaitDeletion", "DeleteFailedStack"),
    ),
    Row(
        "nothing was compared: see that the stack is settled (its events in CloudFormation), then "
        "'syndi retry ID'",
        errors=("StackFailed",),
        states=("DetectDrift", "AwaitDrift"),
    ),
    Row(
        "nothing was changed: 'syndi retry ID' makes a new change set",
        errors=("StackFailed",),
        states=("ExecuteChangeSet",),
    ),
    Row(
        "the stack was rolled back: fix what is named, 'syndi source push' it, deploy again",
        errors=("StackFailed",),
    ),
    Row(
        "see the stack's events in CloudFormation, then 'syndi retry ID'",
        errors=("StackTimedOut", "DeletionTimedOut", "ChangeSetTimedOut", "DriftTimedOut"),
    ),
    # Approval -------------------------------------------------------------------------------------
    Row(
        "ask for the approval before 24 hours are over: 'syndi retry ID' starts the same again",
        states=("AwaitApproval",),
        errors=("States.Timeout",),
    ),
    Row(
        "nothing was changed: talk to whoever rejected it; 'syndi retry ID' asks again",
        errors=("ApprovalRejected",),
    ),
    # Configuration, administrator, function -------------------------------------------------------
    Row(
        "'syndi deploy ENV ORG' creates the bucket unless the stack does; see that its name in "
        "application.toml is that of the template",
        errors=("ConfigInvalid",),
        reason=r"bucket \S+, which .* does not exist",
    ),
    Row(
        "'syndi deploy ENV ORG'",
        errors=("ConfigInvalid",),
        reason=r"which version of the stored overrides",
    ),
    Row(
        "mend the application's configuration files, 'syndi source push' them, deploy again; "
        "'syndi config show ENV ORG' shows what is live",
        errors=("ConfigInvalid",),
    ),
    Row(
        "choose a longer password with upper and lower case letters, digits and symbols in "
        "ADMIN_PASSWORD, or leave it out and one is generated; then deploy again",
        errors=("AdminFailed",),
        reason=r"InvalidPassword|password (?:did|does) not conform|password .*policy",
    ),
    Row(
        "the tenant itself is deployed: mend the user in its user pool, then deploy again",
        errors=("AdminFailed",),
    ),
    Row("'syndi deploy ENV ORG' deploys all of it", errors=("PatchRefused",)),
    Row(
        "see the function's state in Lambda; 'syndi deploy ENV ORG' puts the stack's code back",
        errors=("PatchFailed", "FunctionTimedOut"),
    ),
    # Offboarding ----------------------------------------------------------------------------------
    Row(
        "what is gone is gone and what is left is still there: the same 'syndi offboard' goes on",
        errors=("OffboardFailed", "ExportTimedOut", "PurgeTimedOut"),
    ),
    # The live tenant ------------------------------------------------------------------------------
    Row(
        PUT_BACK,
        errors=TESTS,
        reason=r"the previous good build was put back",
    ),
    Row(
        "the tenant may be half way: mend what is named, then 'syndi rollback ENV ORG'",
        errors=TESTS,
        reason=r"and rolling back failed in",
    ),
    Row(
        "correct the output in the template, so that it names a resource of the stack, "
        "'syndi source push' it, deploy again",
        reason=r"does not belong to the stack",
    ),
    Row(
        "the function runs other code, or does not tell its build: see that the stamp file "
        "(application.toml, [build] stamp) is packed with it and read from there",
        errors=TESTS,
        reason=r"expected build",
    ),
    Row(
        "see the function's log, mend the source, 'syndi source push' it, deploy again",
        errors=TESTS,
        reason=r"no previous good build|nothing to roll back to|previous good build [0-9a-f]{12} ",
    ),
    Row(
        "the tenant runs with this build and does not do what it must: see its function's log; "
        "'syndi rollback ENV ORG' brings the previous good build back",
        errors=TESTS,
    ),
    # The control plane itself ---------------------------------------------------------------------
    Row(
        "a worker of the control plane was too slow or died: see its log; 'syndi retry ID'",
        reason=r"States\.Timeout|timed out after|Sandbox\.Timedout|exited|Runtime\.ExitError",
    ),
)
