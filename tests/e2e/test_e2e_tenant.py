"""One tenant from nothing to proven, a second one beside it, and what each is refused."""

import json
from typing import Any

from live import ask
from syndi_command import ADMIN, ALPHA_PASSWORD, Syndi

STEPS_OF_A_FIRST_DEPLOYMENT = {
    "PrepareDeployment", "AcquireLock", "AcquireSlot", "CheckStack", "StartBuild", "AwaitBuild",
    "UploadConfig", "CreateChangeSet", "AwaitChangeSet", "ExecuteChangeSet", "AwaitStack",
    "ReconcileFunction", "SyncConfig", "CreateAdmin", "RunTests", "ProveDeployment",
}  # fmt: skip

THE_SEEDS_RESOURCES = {
    "LambdaExecutionRole", "RawscribeLambda", "ApiGateway", "CognitoUserPool",
    "CognitoUserPoolClient", "CognitoAdminGroup", "CognitoLabManagerGroup",
    "CognitoResearcherGroup", "CognitoClinicianGroup", "FrontendBucket", "FrontendBucketPolicy",
    "CloudFrontOriginAccessControl", "CloudFrontDistribution",
    "FormsBucket", "ElnBucket", "DraftsBucket",
}  # fmt: skip


def test_a_first_deployment_runs_every_step_and_each_has_its_times(alpha: dict[str, Any]) -> None:
    assert set(alpha["steps"]) == STEPS_OF_A_FIRST_DEPLOYMENT
    for name, step in alpha["steps"].items():
        assert step["status"] == "SUCCEEDED", name
        assert alpha["created_at"][:10] <= step["started_at"][:10]
        assert step["started_at"] <= step["finished_at"], name
        assert step["attempts"] >= 1


def test_the_execution_is_there_for_the_operator(syndi: Syndi, alpha: dict[str, Any]) -> None:
    states = syndi.client("stepfunctions", operator=True)
    machine = syndi.outputs()["StateMachineArn"]
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    found = {item["executionArn"]: item["status"] for item in executions}
    assert found[alpha["execution_arn"]] == "SUCCEEDED"
    assert alpha["execution_arn"].endswith(f":stage-alpha-{alpha['id']}")
    assert alpha["execution_arn"] in alpha["console_url"]


def test_the_stack_has_the_seeds_resources_under_the_seeds_names(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    stack = syndi.stack("rawscribe-stage-alpha")
    assert stack["status"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert set(stack["resources"]) >= THE_SEEDS_RESOURCES
    names = set(stack["resources"].values())
    assert {
        "rawscribe-stage-alpha-backend",
        "rawscribe-stage-alpha-lambda-role",
        "rawscribe-forms-stage-alpha-000000000000",
        "rawscribe-eln-stage-alpha-000000000000",
        "rawscribe-eln-drafts-stage-alpha-000000000000",
        "syndi-frontend-stage-alpha-000000000000",
    } <= names
    # The emulator keeps no boundary on a role that a stack makes: that the role has what this
    # parameter names is tested on the template.
    boundary = syndi.stack("control-plane-dev-local")["resources"]["TenantBoundary"]
    assert stack["parameters"]["PermissionsBoundaryArn"] == boundary


def test_the_live_tenant_reports_the_build_that_the_record_names(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    status, health = ask(url(syndi, "alpha") + "/health")
    assert status == 200
    assert health["build"] == alpha["build"]["fingerprint"]
    assert health["status"] == "ok"


def test_the_outputs_reached_the_configuration_in_the_same_deployment(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    shown = syndi.ok("--local", "config", "show", "stage", "alpha", "--json").json
    body = syndi.client("s3").get_object(
        Bucket="rawscribe-lambda-stage-alpha-000000000000", Key="config.json"
    )["Body"]
    uploaded = json.loads(body.read())
    assert uploaded == shown["content"]
    pool = syndi.stack("rawscribe-stage-alpha")["outputs"]["CognitoUserPoolId"]
    assert uploaded["auth"]["cognito"]["userPoolId"] == pool


def test_the_temporary_users_of_the_tests_are_gone(syndi: Syndi, alpha: dict[str, Any]) -> None:
    cognito = syndi.client("cognito-idp")
    pool = alpha["outputs"]["CognitoUserPoolId"]
    stranger = syndi.stack("control-plane-dev-local")["resources"]["StrangerPool"]
    emails = [
        attribute["Value"]
        for user in cognito.list_users(UserPoolId=pool)["Users"]
        for attribute in user["Attributes"]
        if attribute["Name"] == "email"
    ]
    assert emails == [ADMIN]
    assert cognito.list_users(UserPoolId=stranger)["Users"] == []


def test_the_administrator_signs_in_and_a_second_tenant_refuses_their_token(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    beta = syndi.deploy("stage", "beta")
    assert beta["build"]["fingerprint"] == alpha["build"]["fingerprint"]
    assert beta["build"]["reused"], "the same source is built once"
    token = sign_in(syndi, alpha, ADMIN, ALPHA_PASSWORD)
    status, me = ask(url(syndi, "alpha") + "/api/me", token)
    assert (status, me["email"], me["groups"]) == (200, ADMIN, ["ADMINS"])
    assert ask(url(syndi, "beta") + "/api/me", token)[0] == 401
    assert ask(url(syndi, "alpha") + "/api/me")[0] == 401
    assert artifacts(syndi, "rawscribe-stage-beta"), "beta has artifacts of its own"


def test_deploying_again_changes_nothing_and_keeps_every_parameter(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    before = syndi.stack("rawscribe-stage-alpha")
    again = syndi.deploy("stage", "alpha")
    assert again["change_set"]["has_changes"] is False
    assert "ExecuteChangeSet" not in again["steps"]
    assert syndi.stack("rawscribe-stage-alpha") == before
    assert before["parameters"]["CreateBuckets"] == "true"
    assert before["parameters"]["EnableAuth"] == "true"
    token = sign_in(syndi, alpha, ADMIN, ALPHA_PASSWORD)
    assert ask(url(syndi, "alpha") + "/api/me", token)[0] == 200


def test_checking_a_tenant_signs_in_for_real(syndi: Syndi, alpha: dict[str, Any]) -> None:
    good = syndi.ok("--local", "check", "stage", "alpha", "--jwt", "--json").json
    assert {item["name"]: item["status"] for item in good} == {
        "health": "PASSED", "build": "PASSED", "config": "PASSED", "sign-in": "PASSED",
        "identity": "PASSED", "no-token": "PASSED",
    }  # fmt: skip
    bad = syndi.run("--local", "check", "stage", "alpha", "--jwt", "--json", password="Wrong-1!aa")
    assert bad.exit_code == 1


def url(syndi: Syndi, org: str) -> str:
    """Where a tenant answers."""
    return syndi.ok("--local", "url", "stage", org).stdout.strip()


def sign_in(syndi: Syndi, record: dict[str, Any], username: str, password: str) -> str:
    """A user's real ID token."""
    answer = syndi.client("cognito-idp").admin_initiate_auth(
        UserPoolId=record["outputs"]["CognitoUserPoolId"],
        ClientId=record["outputs"]["CognitoClientId"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    token: str = answer["AuthenticationResult"]["IdToken"]
    return token


def artifacts(syndi: Syndi, stack: str) -> list[str]:
    """What lies below a stack's prefix of the artifact bucket."""
    bucket = syndi.outputs()["ArtifactBucketName"]
    found = syndi.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{stack}/")
    return [item["Key"] for item in found.get("Contents", [])]
