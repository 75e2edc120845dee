"""Weighted routes: set, shifted in steps, and back, by itself and by a person."""

from collections.abc import Iterator
from typing import Any

import pytest
from sources import ALMANAC, APPLICATION, push
from syndi_command import Result, Syndi, eventually

OWNER, BLUE = "pier", "pier-blue"
DOMAIN = "tides.example"
NAME = f"{OWNER}.dev.{DOMAIN}"
ALARM = "pier-errors"
TTL_SECONDS = 60


def route(syndi: Syndi, verb: str, *options: str) -> Result:
    """`syndi route`, for programs."""
    return syndi.run("--local", "route", verb, "dev", OWNER, *options, *APPLICATION, "--json")


def routed(syndi: Syndi, verb: str, *options: str) -> dict[str, Any]:
    """The same; it must succeed."""
    result = route(syndi, verb, *options)
    assert result.exit_code == 0, f"{result.stdout}\n{result.stderr}"
    answer: dict[str, Any] = result.json
    return answer


def refused(syndi: Syndi, verb: str, *options: str) -> str:
    """What a refusal says; nothing was started."""
    result = route(syndi, verb, *options)
    assert result.exit_code == 2, f"{result.stdout}\n{result.stderr}"
    return str(result.json["error"]["message"])


def test_without_a_hosted_zone_routes_are_refused_and_say_how_to_get_one(syndi: Syndi) -> None:
    for verb, *options in (
        ("show",), ("set", "--weights", f"{OWNER}=100"), ("shift", "--to", BLUE), ("reverse",)
    ):  # fmt: skip
        told = refused(syndi, verb, *options)
        assert "syndi --local up --hosted-zone" in told
        assert "HostedZoneId and Domain" in told


@pytest.fixture(scope="module")
def zone(syndi: Syndi) -> str:
    """A hosted zone, and a control plane that was installed for it."""
    made = syndi.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="tides")
    found = str(made["HostedZone"]["Id"].rpartition("/")[2])
    wrong = syndi.run("--local", "up", "--hosted-zone", found)
    assert (wrong.exit_code, "--domain" in wrong.stderr) == (2, True)
    syndi.ok("--local", "up", "--hosted-zone", found, "--domain", DOMAIN)
    return found


@pytest.fixture(scope="module")
def both(syndi: Syndi, zone: str) -> dict[str, str]:
    """The two tenants, and the host name at which each answers."""
    push(syndi, ALMANAC, "dev")
    hosts = {}
    for org in (OWNER, BLUE):
        record = syndi.deploy("dev", org, *APPLICATION)
        hosts[org] = str(record["outputs"]["Url"]).split("/")[2]
    return hosts


@pytest.fixture
def split(syndi: Syndi, both: dict[str, str]) -> Iterator[None]:
    """All traffic to the first one; afterwards no shift runs."""
    routed(syndi, "set", "--weights", f"{OWNER}=100,{BLUE}=0")
    yield
    if (routed(syndi, "show")["shift"] or {}).get("status") == "RUNNING":
        routed(syndi, "reverse")


@pytest.fixture
def alarm(syndi: Syndi) -> str:
    """An alarm that does not ring."""
    syndi.client("cloudwatch").put_metric_alarm(
        AlarmName=ALARM, Namespace="Tides", MetricName="Errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip
    ring(syndi, "OK")
    return ALARM


def ring(syndi: Syndi, state: str) -> None:
    """Set the alarm's state."""
    syndi.client("cloudwatch").set_alarm_state(
        AlarmName=ALARM, StateValue=state, StateReason="because the test says so"
    )


def records(syndi: Syndi, zone: str) -> dict[str, tuple[str, int]]:
    """The record sets of the route, by identifier: host name and weight."""
    found = syndi.client("route53").list_resource_record_sets(HostedZoneId=zone)
    own = [item for item in found["ResourceRecordSets"] if item["Name"] == f"{NAME}."]
    assert {(item["Type"], item["TTL"]) for item in own} <= {("CNAME", TTL_SECONDS)}
    return {
        item["SetIdentifier"]: (item["ResourceRecords"][0]["Value"], item["Weight"]) for item in own
    }


def weights(syndi: Syndi, zone: str) -> tuple[int, int]:
    """The weights in the zone: the owner's tenant, the other one."""
    found = records(syndi, zone)
    return found[f"almanac-dev-{OWNER}"][1], found[f"almanac-dev-{BLUE}"][1]


def changes(syndi: Syndi, org: str) -> list[tuple[str, dict[str, int]]]:
    """The changes in a tenant's own history, oldest first."""
    table = syndi.client("dynamodb")
    answer = table.query(
        TableName=syndi.outputs()["TableName"],
        KeyConditionExpression="PK = :pk AND begins_with(SK, :sk)",
        ExpressionAttributeValues={
            ":pk": {"S": f"TENANT#almanac#dev#{org}"}, ":sk": {"S": "ROUTE#"},
        },
    )  # fmt: skip
    return [
        (
            item["kind"]["S"],
            {name: int(weight["N"]) for name, weight in item["after"]["M"].items()},
        )
        for item in answer["Items"]
    ]


def under_way(syndi: Syndi, *options: str) -> dict[str, Any]:
    """A shift whose first step is set."""
    shift = routed(syndi, "shift", "--to", BLUE, "--steps", "10,100", *options, "--no-wait")
    eventually(lambda: routed(syndi, "show")["shift"]["step"] == 1, 60, "the first step")
    return shift


def test_weights_are_set_as_records_and_stand_in_both_histories(
    syndi: Syndi, zone: str, both: dict[str, str]
) -> None:
    made = routed(syndi, "set", "--weights", f"{OWNER}=100")
    assert (made["name"], made["weights"]) == (NAME, {OWNER: 100})
    assert records(syndi, zone) == {f"almanac-dev-{OWNER}": (both[OWNER], 100)}
    routed(syndi, "set", "--weights", f"{OWNER}=90,{BLUE}=10")
    assert records(syndi, zone) == {
        f"almanac-dev-{OWNER}": (both[OWNER], 90),
        f"almanac-dev-{BLUE}": (both[BLUE], 10),
    }
    new = ("set", {OWNER: 90, BLUE: 10})
    assert changes(syndi, OWNER) == [("set", {OWNER: 100}), new]
    assert changes(syndi, BLUE) == [new]
    for org in (OWNER, BLUE):
        told = syndi.ok("--local", "history", "dev", org, *APPLICATION).stdout
        assert f"{NAME}: {OWNER} 90 %, {BLUE} 10 %" in told
        assert f"syndi --local route show dev {OWNER}" in told
    assert len(syndi.history("dev", BLUE, *APPLICATION)) == 1  # a route's change is no deployment
    back = routed(syndi, "reverse")
    assert back["weights"] == {OWNER: 100}
    assert list(records(syndi, zone)) == [f"almanac-dev-{OWNER}"]


def test_a_shift_goes_step_by_step(syndi: Syndi, zone: str, split: None, alarm: str) -> None:
    before = len(changes(syndi, BLUE))
    shift = routed(
        syndi, "shift", "--to", BLUE, "--steps", "10,50,100", "--every", "1s", "--alarm", alarm
    )
    assert (shift["status"], shift["step"]) == ("SUCCEEDED", 3)
    assert [check["status"] for check in shift["checks"]] == ["PASSED"]
    assert weights(syndi, zone) == (0, 100)
    steps = [("shift", {OWNER: 100 - share, BLUE: share}) for share in (10, 50, 100)]
    for org in (OWNER, BLUE):
        assert changes(syndi, org)[-4:] == [*steps, ("end", {OWNER: 0, BLUE: 100})]
    assert len(changes(syndi, BLUE)) == before + 4
    assert syndi.ended_execution(arn_of(syndi, shift))["status"] == "SUCCEEDED"
    assert routed(syndi, "reverse")["weights"] == {OWNER: 100, BLUE: 0}
    assert weights(syndi, zone) == (100, 0)


def arn_of(syndi: Syndi, shift: dict[str, Any]) -> str:
    """The execution's ARN, by its page in the console."""
    return str(shift["console_url"].rpartition("/details/")[2])


def test_what_rings_already_gets_no_traffic_and_what_rings_later_gets_none_any_more(
    syndi: Syndi, zone: str, split: None, alarm: str
) -> None:
    ring(syndi, "ALARM")
    result = route(syndi, "shift", "--to", BLUE, "--every", "1s", "--alarm", alarm)
    assert (result.exit_code, result.json["status"]) == (1, "FAILED")
    assert "alarm pier-errors rings: because the test says so" in result.json["reason"]
    assert "nothing was changed" in result.json["reason"]
    ring(syndi, "OK")
    shift = under_way(syndi, "--every", "12s", "--alarm", alarm)
    assert weights(syndi, zone) == (90, 10)
    ring(syndi, "ALARM")
    ended = eventually(
        lambda: (s := routed(syndi, "show")["shift"])["status"] != "RUNNING" and s, 60, "its end"
    )
    assert ended["status"] == "FAILED"
    assert f"the weights are back: {OWNER} 100 %, {BLUE} 0 %" in ended["reason"]
    assert weights(syndi, zone) == (100, 0)
    for org in (OWNER, BLUE):
        assert [kind for kind, _ in changes(syndi, org)[-3:]] == ["shift", "restore", "end"]
    told = syndi.ended_execution(shift["execution_arn"])
    assert (told["status"], told["error"]) == ("FAILED", "ShiftUnsafe")
    assert "rings" in told["cause"]


def test_a_tenant_that_breaks_on_the_way_loses_its_traffic(
    syndi: Syndi, zone: str, split: None
) -> None:
    functions = syndi.client("lambda")
    under_way(syndi, "--every", "10s")
    broken = {"FunctionName": f"almanac-dev-{BLUE}", "Handler": "handler.gone"}
    functions.update_function_configuration(**broken)
    try:
        ended = eventually(
            lambda: (s := routed(syndi, "show")["shift"])["status"] != "RUNNING" and s, 90, "end"
        )
    finally:
        functions.update_function_configuration(**broken | {"Handler": "handler.handler"})
    assert ended["status"] == "FAILED"
    assert ended["reason"].startswith("CheckShift: /status: expected 200, got 502")
    assert [check["status"] for check in ended["checks"]] == ["FAILED"]
    assert weights(syndi, zone) == (100, 0)


def test_one_command_takes_all_back_while_a_shift_runs(
    syndi: Syndi, zone: str, split: None
) -> None:
    shift = under_way(syndi, "--every", "1h")
    assert "has the route" in refused(syndi, "shift", "--to", BLUE)
    assert "has the route" in refused(syndi, "set", "--weights", f"{OWNER}=100")
    back = routed(syndi, "reverse")
    assert back["weights"] == {OWNER: 100, BLUE: 0}
    assert weights(syndi, zone) == (100, 0)
    assert back["shift"]["status"] == "REVERSED"
    assert "syndi-operator" in back["shift"]["reason"]
    assert [kind for kind, _ in changes(syndi, BLUE)[-2:]] == ["shift", "reverse"]
    syndi.ended_execution(shift["execution_arn"])
    assert weights(syndi, zone) == (100, 0)


def test_an_execution_that_is_stopped_takes_the_traffic_back(
    syndi: Syndi, zone: str, split: None
) -> None:
    shift = under_way(syndi, "--every", "1h")
    syndi.client("stepfunctions").stop_execution(executionArn=shift["execution_arn"])
    ended = eventually(
        lambda: (s := routed(syndi, "show")["shift"]).get("finished_at") and s, 60, "its end"
    )
    assert ended["status"] == "FAILED"
    assert "the execution ended ABORTED" in ended["reason"]
    assert weights(syndi, zone) == (100, 0)


def test_what_cannot_be_is_refused_by_its_field_and_changes_nothing(
    syndi: Syndi, zone: str, split: None
) -> None:
    for verb, options, told in (
        ("set", ("--weights", f"{OWNER}=90,{BLUE}=20"), "weights: must be 100 together, not 110"),
        ("set", ("--weights", f"{OWNER}=90,quay=10"), "weights: quay is not of pier"),
        ("set", ("--weights", f"{OWNER}=90,{OWNER}-red=10"), "never deployed with success"),
        ("shift", ("--to", "quay"), "to: must be pier, or begin with pier-"),
        ("shift", ("--to", BLUE, "--steps", "50,10"), "steps: must rise"),
        ("shift", ("--to", OWNER), "steps: must begin above 100"),
        ("shift", ("--to", BLUE, "--alarm", "none"), "alarms: there is no alarm none"),
        ("shift", ("--to", BLUE, "--every", "2d"), "--every 2d"),
    ):  # fmt: skip
        assert told in refused(syndi, verb, *options)
    assert weights(syndi, zone) == (100, 0)
    with_policy = syndi.client("route53", operator=True)
    with pytest.raises(with_policy.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        with_policy.list_resource_record_sets(HostedZoneId=zone)
