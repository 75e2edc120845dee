"""What a control plane is installed with: as it is told, and otherwise as it was."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from cli import installing
from cli.failure import Refused
from cli.hosted_zone import routes_in
from cli.install import Target
from cli.installing import (
    approval_environments,
    check_names,
    explicit_creation_environments,
    manual_start_environments,
    own,
    with_trial,
)
from control_plane import aws
from control_plane.own import own_tenant


def target(*environments: str) -> Target:
    return Target(
        tenant=own_tenant("control-plane-dev-local"),
        runtime="python3.13",
        architecture="arm64",
        layer_platform="aarch64-manylinux2014",
        prefixes="notes",
        default_application="notes",
        variables={},
        approval_in=environments,
    )


@pytest.mark.parametrize(
    ("given", "installed", "expected"),
    [
        (None, {}, ()),
        (None, {"ApprovalEnvironments": ""}, ()),
        (None, {"ApprovalEnvironments": "prod,stage"}, ("prod", "stage")),
        ("stage,prod", {}, ("prod", "stage")),
        (" prod , prod", {"ApprovalEnvironments": "test"}, ("prod",)),
        ("none", {"ApprovalEnvironments": "prod"}, ()),
    ],
)
def test_environments_are_as_given_and_otherwise_stay(
    given: str | None, installed: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert approval_environments(given, installed) == expected
    known = {f"ExplicitCreation{name.removeprefix('Approval')}": v for name, v in installed.items()}
    assert explicit_creation_environments(given, known) == expected
    assert explicit_creation_environments("prod,stage,test,dev", {}) == (
        "dev", "prod", "stage", "test",
    )  # fmt: skip
    with pytest.raises(Refused, match="--explicit-creation-in"):
        explicit_creation_environments("production", {})


@pytest.mark.parametrize("given", ["moon", "prod,moon", "", "prod,", "none,prod", "PROD"])
def test_what_is_no_environment_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="dev, test, stage, prod"):
        approval_environments(given, {})


@pytest.mark.parametrize(
    ("given", "installed", "expected"),
    [
        (None, {}, ("dev", "stage", "test")),
        (None, {"ManualStartEnvironments": ""}, ()),
        (None, {"ManualStartEnvironments": "dev"}, ("dev",)),
        ("prod, dev", {"ManualStartEnvironments": "test"}, ("dev", "prod")),
        ("none", {"ManualStartEnvironments": "dev"}, ()),
    ],
)
def test_starts_by_hand_are_accepted_as_given_and_otherwise_as_before_or_all_but_in_prod(
    given: str | None, installed: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert manual_start_environments(given, installed) == expected


def test_a_start_by_hand_is_accepted_in_environments_only() -> None:
    with pytest.raises(Refused, match="--manual-start-in moon: must be environments"):
        manual_start_environments("moon", {})


def test_an_update_needs_an_environment_that_nobody_approves() -> None:
    with pytest.raises(Refused, match="leave one of dev, test and stage out"):
        approval_environments("prod,stage,test,dev", {})


class Zones:
    """Route 53 with the zones of old.example and new.example; it remembers what it was asked."""

    names: ClassVar = {"Z1OLD": "old.example.", "Z2NEW": "new.example."}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_hosted_zone(self, Id: str) -> dict[str, Any]:
        self.asked.append(Id)
        if Id not in self.names:
            error = {"Error": {"Code": "NoSuchHostedZone", "Message": "No hosted zone found"}}
            raise ClientError(error, "GetHostedZone")  # type: ignore[arg-type]
        return {"HostedZone": {"Id": f"/hostedzone/{Id}", "Name": self.names[Id]}}


@pytest.fixture
def zones(monkeypatch: pytest.MonkeyPatch) -> Zones:
    made = Zones()
    monkeypatch.setattr(aws, "route53", lambda: made)
    return made


ZONE = {"HostedZoneId": "Z1OLD", "Domain": "old.example"}


@pytest.mark.parametrize(
    ("zone", "domain", "installed", "expected"),
    [
        (None, None, {}, ("", "")),
        (None, None, ZONE, ("Z1OLD", "old.example")),
        ("Z2NEW", "new.example", {}, ("Z2NEW", "new.example")),
        ("Z2NEW", "b.new.example", ZONE, ("Z2NEW", "b.new.example")),
        (None, "a.old.example", ZONE, ("Z1OLD", "a.old.example")),
        ("none", None, ZONE, ("", "")),
    ],
)
def test_the_zone_of_routes_is_as_given_and_otherwise_stays(
    zones: Zones,
    zone: str | None,
    domain: str | None,
    installed: dict[str, str],
    expected: tuple[str, str],
) -> None:
    assert routes_in(zone, domain, installed) == expected
    given = zone not in (None, "none") or domain is not None
    assert zones.asked == [expected[0]] * given, "whoever repairs needs no permission for it"


@pytest.mark.parametrize(
    ("zone", "domain", "told"),
    [
        ("Z9GONE", "new.example", "--hosted-zone Z9GONE: there is no such zone"),
        ("Z2NEW", "old.example", "--domain old.example: the zone Z2NEW is of new.example"),
        ("Z2NEW", "renew.example", "the zone Z2NEW is of new.example"),
        ("Z2NEW", None, "--domain old.example: the zone Z2NEW is of new.example"),
        (None, "new.example", "--domain new.example: the zone Z1OLD is of old.example"),
    ],
)
def test_a_zone_that_is_not_there_or_not_the_domains_is_refused(
    zones: Zones, zone: str | None, domain: str | None, told: str
) -> None:
    with pytest.raises(Refused, match=told):
        routes_in(zone, domain, ZONE)


@pytest.mark.parametrize(
    ("zone", "domain", "told"),
    [
        ("Z1", None, "need both"),
        (None, "example.com", "need both"),
        ("example.com", "example.com", "--hosted-zone example.com: must be a zone's id"),
        ("/hostedzone/Z1", "example.com", "must be a zone's id"),
        ("Z1", "Example.com", "--domain Example.com: must be a domain in lowercase"),
        ("Z1", "example.com.", "must be a domain"),
        ("Z1", "com", "must be a domain"),
    ],
)
def test_half_a_zone_or_none_at_all_is_refused(
    zone: str | None, domain: str | None, told: str
) -> None:
    with pytest.raises(Refused, match=told):
        routes_in(zone, domain, {})


def test_where_routes_are_made_is_told_to_the_stack() -> None:
    assert (target().parameters()["HostedZoneId"], target().parameters()["Domain"]) == ("", "")


def test_no_environment_is_said_so_that_the_previous_ones_do_not_stay() -> None:
    assert target().parameters()["ApprovalEnvironments"] == ""
    assert target("prod", "stage").parameters()["ApprovalEnvironments"] == "prod,stage"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("notes", "notes,syndi-trial"),
        (" notes , other,", "notes,other,syndi-trial"),
        ("notes,syndi-trial", "notes,syndi-trial"),
    ],
)
def test_the_trial_may_always_be_deployed(given: str, expected: str) -> None:
    assert with_trial(given) == expected


def test_a_stack_says_which_control_plane_it_is() -> None:
    tenant = own("control-plane-prod-main-two")
    assert (tenant.env, tenant.org, tenant.stack_name) == (
        "prod", "main-two", "control-plane-prod-main-two"
    )  # fmt: skip


@pytest.mark.parametrize(
    "stack", ["control-plane", "control-plane-moon-main", "control-plane-prod-", "other-prod-main"]
)
def test_a_stack_of_another_name_is_refused(stack: str) -> None:
    with pytest.raises(Refused, match=r"control-plane-\{env\}-\{org\}"):
        own(stack)


@pytest.mark.parametrize(
    ("org", "told"),
    [
        ("abcdefghijklm", ""),
        ("abcdefghijklmn", "names of its roles are cut"),
        ("abcdefghijklmnopqr", "names of its roles are cut"),
    ],
)
def test_an_organization_has_room_in_every_name_that_is_made_of_it(org: str, told: str) -> None:
    of = replace(target("prod"), tenant=own_tenant(f"control-plane-prod-{org}"))
    if not told:
        check_names(of, "123456789012")
        return
    with pytest.raises(Refused, match=told):
        check_names(of, "123456789012")


@pytest.mark.parametrize(("org", "tried"), [("a" * 18, "-back"), ("a" * 23, "-a{23}:")])
def test_without_room_for_a_trial_nothing_is_installed(
    org: str, tried: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the names of roles become shorter, the trials' are the next that have no room."""
    monkeypatch.setattr(installing, "ROLE_NAME_LIMIT", 128)
    of = replace(target("prod"), tenant=own_tenant(f"control-plane-prod-{org}"))
    with pytest.raises(Refused, match=f"no update could try itself as .*{tried}"):
        check_names(of, "123456789012")
