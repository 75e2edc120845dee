"""The admin worker: one administrator, whose password is a secret and nothing else."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from pool_builders import new_pool, owns
from worker_builders import ALPHA, BETA

from control_plane import aws
from control_plane.errors import AdminFailed, OutputRefused, ServiceBusy, TestsFailed
from control_plane.models import Deployment, Tenant
from control_plane.naming import given_secret
from control_plane.services.secrets import keep
from workers import admin as worker

ADMIN = "admin@example.com"
GIVEN = "Correct-Horse-1"


@pytest.fixture
def pool(script: scripted.Scripted) -> tuple[str, str]:
    made = new_pool()
    owns(script, ("AWS::Cognito::UserPool", made[0]))
    return made


def create(
    pool: tuple[str, str],
    of: Tenant = ALPHA,
    password: str | None = None,
    holder: str = ADMIN,
    **given: Any,
) -> dict[str, Any]:
    """Run the step, with a `password` that the API was given for `holder`."""
    made = build.opened(build.deployment(of, admin_username=ADMIN, **given))
    return run(carrying(made, password, holder) if password else made, {"PoolId": pool[0]})


def carrying(made: Deployment, password: str, holder: str = ADMIN) -> Deployment:
    """What the API does with a given password."""
    name = given_secret(made.tenant, made.id)
    arn = build.create_secret(made.tenant, name, holder, password)
    return made.model_copy(update={"admin_secret_arn": arn})


def run(made: Deployment, outputs: dict[str, str]) -> dict[str, Any]:
    return worker.handler(build.event(made, "CreateAdmin", outputs=outputs), None)


def signs_in(pool: tuple[str, str], password: str) -> bool:
    try:
        answer = aws.cognito().admin_initiate_auth(
            UserPoolId=pool[0],
            ClientId=pool[1],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": ADMIN, "PASSWORD": password},
        )
    except aws.cognito().exceptions.NotAuthorizedException:
        return False
    return "AuthenticationResult" in answer


def groups(pool: tuple[str, str]) -> list[str]:
    found = aws.cognito().admin_list_groups_for_user(UserPoolId=pool[0], Username=ADMIN)
    return [group["GroupName"] for group in found["Groups"]]


def secret(of: Tenant = ALPHA) -> dict[str, str]:
    name = f"syndi/{of.stack_name}/admin/{ADMIN}"
    return dict(json.loads(aws.secretsmanager().get_secret_value(SecretId=name)["SecretString"]))


def secrets() -> list[str]:
    return [item["Name"] for item in aws.secretsmanager().list_secrets()["SecretList"]]


def test_a_new_administrator_gets_a_generated_password_that_is_kept_as_a_secret(
    pool: tuple[str, str],
) -> None:
    answer = create(pool)
    assert answer["admin"] == {
        "username": ADMIN,
        "group": "ADMINS",
        "secret": f"syndi/notes-stage-alpha/admin/{ADMIN}",
        "password_set": True,
    }
    kept = secret()
    assert kept["username"] == ADMIN
    assert signs_in(pool, kept["password"])
    assert groups(pool) == ["ADMINS"]
    assert kept["password"] not in json.dumps(answer)
    assert kept["password"] not in json.dumps(build.everything())


def test_the_administrators_address_is_verified(pool: tuple[str, str]) -> None:
    create(pool)
    user = aws.cognito().admin_get_user(UserPoolId=pool[0], Username=ADMIN)
    attributes = {item["Name"]: item["Value"] for item in user["UserAttributes"]}
    assert (attributes["email"], attributes["email_verified"]) == (ADMIN, "true")
    assert user["UserStatus"] == "CONFIRMED"


def test_a_secret_is_tagged_with_its_tenant(pool: tuple[str, str]) -> None:
    create(pool)
    found = aws.secretsmanager().describe_secret(SecretId=f"syndi/notes-stage-alpha/admin/{ADMIN}")
    assert found["Tags"] == [{"Key": "syndi:stack", "Value": "notes-stage-alpha"}]


def test_an_existing_administrator_keeps_their_password(pool: tuple[str, str]) -> None:
    create(pool)
    chosen = "Their-own-choice-7"
    aws.cognito().admin_set_user_password(
        UserPoolId=pool[0], Username=ADMIN, Password=chosen, Permanent=True
    )
    before = secret()
    answer = create(pool, number=2)
    assert signs_in(pool, chosen)
    assert secret() == before
    assert answer["admin"]["secret"] == f"syndi/notes-stage-alpha/admin/{ADMIN}"


@pytest.mark.parametrize("of_another", [False, True])
def test_no_secret_is_named_for_a_user_whose_password_is_not_kept(
    pool: tuple[str, str], of_another: bool
) -> None:
    cognito = aws.cognito()
    cognito.admin_create_user(UserPoolId=pool[0], Username=ADMIN, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=pool[0], Username=ADMIN, Password=GIVEN, Permanent=True
    )
    if of_another:
        keep(ALPHA, "else@example.com", "Another-Horse-2")
    answer = create(pool)
    assert answer["admin"]["secret"] == ""
    assert signs_in(pool, GIVEN)


def test_a_user_who_is_there_is_made_an_administrator(pool: tuple[str, str]) -> None:
    create(pool)
    aws.cognito().admin_remove_user_from_group(
        UserPoolId=pool[0], Username=ADMIN, GroupName="ADMINS"
    )
    create(pool, number=2)
    assert groups(pool) == ["ADMINS"]


def test_a_step_that_was_cut_off_before_the_password_gives_one(
    pool: tuple[str, str], script: scripted.Scripted
) -> None:
    """The worker died between the two calls: nobody else created the user."""
    made = build.opened(build.deployment(admin_username=ADMIN))
    script.on(
        aws.cognito(),
        "AdminSetUserPassword",
        scripted.failure("InternalErrorException"),
        scripted.MOTO,
    )
    with pytest.raises(ServiceBusy):
        run(made, {"PoolId": pool[0]})
    run(made, {"PoolId": pool[0]})
    assert signs_in(pool, secret()["password"])


def test_a_password_that_was_set_and_not_kept_is_replaced(
    pool: tuple[str, str], script: scripted.Scripted
) -> None:
    """The worker died before the secret was there: nobody would know the password."""
    made = build.opened(build.deployment(admin_username=ADMIN))
    script.on(
        aws.secretsmanager(),
        "CreateSecret",
        scripted.failure("InternalServiceError"),
        scripted.MOTO,
    )
    with pytest.raises(ServiceBusy):
        run(made, {"PoolId": pool[0]})
    run(made, {"PoolId": pool[0]})
    assert signs_in(pool, secret()["password"])


@pytest.mark.parametrize("existing", [False, True])
def test_a_password_that_was_given_is_set(pool: tuple[str, str], existing: bool) -> None:
    if existing:
        create(pool)
    answer = create(pool, number=2, password=GIVEN)
    assert signs_in(pool, GIVEN)
    assert answer["admin"]["secret"] == f"syndi/notes-stage-alpha/admin/{ADMIN}"
    assert GIVEN not in json.dumps([answer, build.everything()])


def test_the_step_run_twice_is_harmless(pool: tuple[str, str]) -> None:
    made = build.opened(build.deployment(admin_username=ADMIN))
    made = carrying(made, GIVEN)
    first = run(made, {"PoolId": pool[0]})
    assert run(made, {"PoolId": pool[0]}) == first
    assert signs_in(pool, GIVEN)


# Secrets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "of", [BETA, build.tenant("alpha2"), build.tenant("alpha", application="other")]
)
def test_another_tenants_secret_is_refused(pool: tuple[str, str], of: Tenant) -> None:
    other = carrying(build.deployment(of), GIVEN)
    with pytest.raises(AdminFailed, match="not the secret of deployment"):
        create(pool, admin_secret_arn=other.admin_secret_arn)
    assert aws.cognito().list_users(UserPoolId=pool[0])["Users"] == []


@pytest.mark.parametrize("name", ["prod/database", "syndi/notes-stage-alpha/given/another"])
def test_any_other_secret_of_the_account_is_refused(pool: tuple[str, str], name: str) -> None:
    value = json.dumps({"username": ADMIN, "password": GIVEN})
    arn = aws.secretsmanager().create_secret(Name=name, SecretString=value)["ARN"]
    with pytest.raises(AdminFailed, match="not the secret of"):
        create(pool, admin_secret_arn=arn)


def test_a_secret_of_another_user_is_refused(pool: tuple[str, str]) -> None:
    with pytest.raises(AdminFailed, match="another administrator's") as refused:
        create(pool, password=GIVEN, holder="else@example.com")
    assert GIVEN not in str(refused.value)


def test_a_secret_that_is_gone_is_refused(pool: tuple[str, str]) -> None:
    made = carrying(build.opened(build.deployment(admin_username=ADMIN)), GIVEN)
    name = given_secret(ALPHA, made.id)
    aws.secretsmanager().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    with pytest.raises(AdminFailed, match="does not exist any more"):
        run(made, {"PoolId": pool[0]})


def test_a_new_password_replaces_the_one_that_was_kept(world: None) -> None:
    keep(ALPHA, ADMIN, "one")
    keep(ALPHA, ADMIN, "two")
    assert secret()["password"] == "two"
    assert secrets() == [f"syndi/notes-stage-alpha/admin/{ADMIN}"]


def test_a_password_that_the_pool_refuses_does_not_replace_the_one_that_works(
    pool: tuple[str, str],
) -> None:
    create(pool, password=GIVEN)
    with pytest.raises(AdminFailed):
        create(pool, number=2, password="weak")
    assert signs_in(pool, secret()["password"])


def test_each_administrator_has_a_secret_of_their_own(pool: tuple[str, str]) -> None:
    create(pool)
    before = secret()
    made = build.opened(build.deployment(number=2, admin_username="two@example.com"))
    run(made, {"PoolId": pool[0]})
    assert secret() == before
    assert len(secrets()) == 2


# Failures -----------------------------------------------------------------------------------------


def test_a_password_against_the_policy_is_refused_without_being_repeated(
    pool: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AdminFailed, match="does not meet the user pool's policy") as refused:
        create(pool, password="weak")
    shown = capsys.readouterr()
    assert "weak" not in f"{refused.value} {json.dumps(build.everything())} {shown.out} {shown.err}"


def test_a_stack_without_a_pool_is_told_so(world: None) -> None:
    made = build.opened(build.deployment(admin_username=ADMIN))
    with pytest.raises(AdminFailed, match="no output PoolId: is its authentication switched off"):
        run(made, {"Url": "https://x"})


def test_a_group_that_a_build_dropped_is_the_builds_failure(pool: tuple[str, str]) -> None:
    aws.cognito().delete_group(UserPoolId=pool[0], GroupName="ADMINS")
    with pytest.raises(TestsFailed, match=f"{pool[0]} does not take .* {ADMIN}: ADMINS"):
        create(pool)


def test_a_pool_that_is_gone_is_named(pool: tuple[str, str]) -> None:
    aws.cognito().delete_user_pool(UserPoolId=pool[0])
    with pytest.raises(OutputRefused, match=f"PoolId names '{pool[0]}'.*it does not exist"):
        create(pool)


def test_no_administrator_is_made_in_another_tenants_pool(
    world: None, script: scripted.Scripted
) -> None:
    victim = new_pool("victim", tags={"syndi:stack": "notes-stage-beta"})
    owns(script)
    with pytest.raises(OutputRefused, match=r"notes-stage-alpha: it is tagged .*=notes-stage-beta"):
        create(victim)
    assert aws.cognito().list_users(UserPoolId=victim[0])["Users"] == []


@pytest.mark.parametrize("password", [None, GIVEN])
def test_a_disabled_administrator_is_not_said_to_be_there(
    pool: tuple[str, str], password: str | None
) -> None:
    create(pool, password=GIVEN)
    aws.cognito().admin_disable_user(UserPoolId=pool[0], Username=ADMIN)
    with pytest.raises(AdminFailed, match=f"{ADMIN} is disabled in the user pool"):
        create(pool, number=2, password=password)


def test_whoever_signed_up_with_the_address_does_not_become_an_administrator_with_their_password(
    pool: tuple[str, str],
) -> None:
    attributes = [{"Name": "email", "Value": ADMIN}]
    aws.cognito().sign_up(
        ClientId=pool[1], Username=ADMIN, Password="Stranger-1234!", UserAttributes=attributes
    )
    create(pool)
    assert not signs_in(pool, "Stranger-1234!")
    assert signs_in(pool, secret()["password"])


@pytest.mark.parametrize("status", ["RESET_REQUIRED", "EXTERNAL_PROVIDER", "COMPROMISED"])
def test_an_administrator_who_cannot_sign_in_is_refused_with_the_status(
    pool: tuple[str, str], script: scripted.Scripted, status: str
) -> None:
    create(pool)
    user = {"Username": ADMIN, "Enabled": True, "UserStatus": status}
    script.on(aws.cognito(), "AdminGetUser", user)
    with pytest.raises(AdminFailed, match=f"{ADMIN} is {status} in the user pool"):
        create(pool, number=2)


def test_nobody_is_created_when_nobody_was_asked_for(pool: tuple[str, str]) -> None:
    with pytest.raises(AdminFailed, match="no administrator was asked for"):
        run(build.opened(build.deployment()), {"PoolId": pool[0]})
    assert aws.cognito().list_users(UserPoolId=pool[0])["Users"] == []


def test_a_throttle_is_tried_again(pool: tuple[str, str], script: scripted.Scripted) -> None:
    throttled = scripted.failure("TooManyRequestsException")
    script.on(aws.cognito(), "AdminAddUserToGroup", throttled)
    with pytest.raises(ServiceBusy):
        create(pool)
    script.on(aws.cognito(), "AdminAddUserToGroup", scripted.MOTO)
    create(pool)
    assert groups(pool) == ["ADMINS"]
    assert signs_in(pool, secret()["password"])
