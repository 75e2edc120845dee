"""Weights that a person sets and takes back: records, histories, refusals, and others meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from route_calls import BLUE, NAME, Traffic, host, told
from worker_builders import ALPHA
from zone_answers import ID

from control_plane import aws

HERE = "/envs/stage/orgs/alpha/route"


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    yield from calls.begin(script, monkeypatch)


def put(**weights: int) -> Reply:
    body = {"weights": {org.replace("_", "-"): weight for org, weight in weights.items()}}
    return call("PUT", HERE, body)


def reverse() -> Reply:
    return call("POST", f"{HERE}/reverse", {})


def show() -> dict[str, Any]:
    return dict(call("GET", HERE).body)


# Set ----------------------------------------------------------------------------------------------


def test_a_route_is_a_weighted_record_for_each_tenant(traffic: Traffic) -> None:
    answer = put(alpha=90, alpha_blue=10)
    assert answer.status == 200
    assert answer.body["name"] == NAME
    assert answer.body["weights"] == {"alpha": 90, "alpha-blue": 10}
    assert traffic.records() == {
        "notes-stage-alpha": (host("alpha"), 90, 60),
        "notes-stage-alpha-blue": (host("alpha-blue"), 10, 60),
    }


def test_a_change_stands_in_the_history_of_every_tenant_that_it_concerns(traffic: Traffic) -> None:
    put(alpha=100)
    put(alpha=90, alpha_blue=10)
    both = ("set", {"alpha": 90, "alpha-blue": 10})
    assert told(ALPHA) == [("set", {"alpha": 100}), both]
    assert told(BLUE) == [both]
    (change,) = calls.changes(BLUE)
    assert (change["by"], change["name"], change["route"]) == (CALLER, NAME, "alpha")
    assert change["before"] == {"alpha": 100}
    answer = call("GET", "/envs/stage/orgs/alpha-blue/deployments").body
    assert answer["route_change"] == change
    assert len(answer["deployments"]) == 1
    put(alpha=100)
    assert told(BLUE)[-1] == ("set", {"alpha": 100}), "it lost its traffic"
    assert list(traffic.records()) == ["notes-stage-alpha"]


def test_every_item_of_a_route_has_the_version_of_its_release(traffic: Traffic) -> None:
    put(alpha=100)
    kinds = ("ROUTE", "ROUTE#")
    found = [i for i in build.everything() if i["SK"]["S"].startswith(kinds)]
    assert len(found) == 2
    assert all("schema" in item for item in found)


def test_the_same_weights_again_change_nothing(traffic: Traffic) -> None:
    put(alpha=100)
    before = calls.item()
    assert put(alpha=100).status == 200
    assert calls.item() == before
    assert len(told(ALPHA)) == 1


def test_what_was_set_and_not_recorded_is_recorded_when_it_is_asked_for_again(
    traffic: Traffic,
) -> None:
    put(alpha=100)
    traffic.by_hand(alpha=90, alpha_blue=10)
    assert put(alpha=90, alpha_blue=10).status == 200
    assert calls.changes(BLUE)[-1]["before"] == {"alpha": 100}
    assert calls.item()["weights"] == {"alpha": 90, "alpha-blue": 10}


def test_a_tenant_that_was_deployed_anew_gets_its_record_anew(traffic: Traffic) -> None:
    put(alpha=100)
    source = build.push_source(calls.FILES)
    calls.deployed(ALPHA, source, outputs={"Url": "https://new.example.org/x"})
    (record,) = show()["records"]
    assert (record["target"], record["leads_astray"]) == (
        host("alpha"),
        "that tenant answers at new.example.org",
    )
    put(alpha=100)
    assert traffic.records() == {"notes-stage-alpha": ("new.example.org", 100, 60)}
    assert show()["records"][0]["leads_astray"] is None


def test_weights_that_somebody_else_sets_in_the_same_moment_are_not_overwritten(
    traffic: Traffic,
) -> None:
    put(alpha=100)
    traffic.zone.meanwhile = lambda: traffic.by_hand(alpha=40, alpha_blue=60)
    answer = put(alpha=90, alpha_blue=10)
    assert (answer.status, answer.error["code"]) == (409, "Conflict")
    assert "somebody else changed" in answer.error["message"]
    assert traffic.weights() == {"alpha": 40, "alpha-blue": 60}
    assert len(told(ALPHA)) == 1


def test_whoever_loses_in_the_table_takes_its_records_back(traffic: Traffic) -> None:
    put(alpha=100)

    def other() -> None:
        aws.dynamodb().update_item(
            TableName=build.TABLE, Key=calls.ROUTE_KEY, UpdateExpression="ADD revision :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )  # fmt: skip

    calls.before_recording(traffic, other)
    assert put(alpha=90, alpha_blue=10).status == 409
    assert traffic.weights() == {"alpha": 100}
    assert len(told(ALPHA)) == 1


def test_a_route_that_is_taken_away_can_be_brought_back(traffic: Traffic) -> None:
    assert call("PUT", HERE, {"weights": {}}).status == 404, "there is none"
    put(alpha=90, alpha_blue=10)
    assert call("PUT", HERE, {"weights": {}}).body["weights"] == {}
    assert traffic.records() == {}
    assert told(BLUE)[-1] == told(ALPHA)[-1] == ("set", {})
    assert call("POST", f"{HERE}/shift", {"to": "alpha-blue"}).status == 409
    assert reverse().body["weights"] == {"alpha": 90, "alpha-blue": 10}


def test_a_tenant_that_gets_traffic_is_not_removed(traffic: Traffic) -> None:
    def remove(org: str) -> Reply:
        body = {"confirm": f"notes-stage-{org}"}
        return call("DELETE", f"/envs/stage/orgs/{org}", body)

    put(alpha=90, alpha_blue=10)
    answer = remove("alpha-blue")
    assert (answer.status, answer.error["code"]) == (409, "Conflict")
    assert "gets 10 % of the traffic of alpha.stage.example.com" in answer.error["message"]
    assert "syndi route set stage alpha --weights none" in answer.error["message"]
    put(alpha=100, alpha_blue=0)
    answer = remove("alpha-blue")
    assert answer.status == 409, "reverse would lead to it"
    assert "'syndi route set stage alpha --weights alpha=100'" in answer.error["message"]
    put(alpha=100)
    assert remove("alpha-blue").status == 202
    assert remove("alpha").status == 409


# Reverse ------------------------------------------------------------------------------------------


def test_one_command_goes_back_and_again_forth(traffic: Traffic) -> None:
    put(alpha=100)
    put(alpha=90, alpha_blue=10)
    assert reverse().body["weights"] == {"alpha": 100}
    assert traffic.weights() == {"alpha": 100}
    assert told(BLUE)[-1] == ("reverse", {"alpha": 100})
    assert calls.changes(ALPHA)[-1]["by"] == CALLER
    assert reverse().body["weights"] == {"alpha": 90, "alpha-blue": 10}


def test_nothing_is_before_what_made_the_route(traffic: Traffic) -> None:
    assert (reverse().status, reverse().error["code"]) == (404, "NotFound")
    put(alpha=100)
    answer = reverse()
    assert (answer.status, answer.error["code"]) == (409, "Conflict")
    assert "nothing before" in answer.error["message"]
    assert traffic.weights() == {"alpha": 100}


def test_a_reversal_meets_another_change_and_still_gets_through(traffic: Traffic) -> None:
    put(alpha=100)
    put(alpha=90, alpha_blue=10)
    traffic.zone.meanwhile = lambda: traffic.by_hand(alpha=40, alpha_blue=60)
    assert reverse().body["weights"] == {"alpha": 100}
    assert calls.changes(BLUE)[-1]["before"] == {"alpha": 40, "alpha-blue": 60}


def test_a_tenant_that_is_gone_does_not_keep_traffic_from_going_back(traffic: Traffic) -> None:
    put(alpha=100, alpha_blue=0)
    put(alpha=0, alpha_blue=100)
    aws.dynamodb().delete_item(
        TableName=build.TABLE, Key={"PK": {"S": "TENANT#notes#stage#alpha-blue"},
                                    "SK": {"S": "CURRENT"}},
    )  # fmt: skip
    gone = next(r for r in show()["records"] if r["org"] == "alpha-blue")
    assert gone["leads_astray"] == "that tenant is gone"
    assert reverse().body["weights"] == {"alpha": 100, "alpha-blue": 0}


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"HostedZoneId": "", "Domain": ""}])
def test_without_a_zone_it_is_said_which_parameters_to_set(
    traffic: Traffic, parameters: dict[str, str]
) -> None:
    traffic.parameters = parameters
    shift = call("POST", f"{HERE}/shift", {"to": "alpha-blue"})
    for answer in (call("GET", HERE), put(alpha=100), reverse(), shift):
        assert (answer.status, answer.error["code"]) == (409, "Conflict")
        assert "--hosted-zone Z0123456789 --domain example.com" in answer.error["message"]
        assert "HostedZoneId and Domain" in answer.error["message"]


def test_a_zone_that_does_not_exist_is_named(traffic: Traffic) -> None:
    traffic.parameters["HostedZoneId"] = "Z404"
    answer = put(alpha=100)
    assert (answer.status, answer.error["code"]) == (409, "RouteRefused")
    assert "no hosted zone Z404" in answer.error["message"]


@pytest.mark.parametrize(
    "other",
    [
        {"Type": "A", "ResourceRecords": [{"Value": "192.0.2.1"}]},
        {"Type": "CNAME", "ResourceRecords": [{"Value": "old.example.org"}]},
        {"Type": "CNAME", "SetIdentifier": "other-stage-alpha", "Weight": 1,
         "ResourceRecords": [{"Value": "old.example.org"}]},
        {"Type": "CNAME", "SetIdentifier": "notes-stage-alpha2", "Weight": 1,
         "ResourceRecords": [{"Value": "old.example.org"}]},
    ],
)  # fmt: skip
def test_a_record_that_is_not_the_routes_is_left_alone(
    traffic: Traffic, other: dict[str, Any]
) -> None:
    traffic.zone.put(Name=NAME, **other)
    answer = put(alpha=100)
    assert (answer.status, answer.error["code"]) == (409, "RouteRefused")
    assert f"not of this route: remove it from the hosted zone {ID}" in (answer.error["message"])


def test_what_route_53_does_not_take_is_told_with_its_words(traffic: Traffic) -> None:
    told_ = "RRSet with DNS name alpha.stage.example.com. is not permitted in zone example.org."
    refusal = scripted.failure("InvalidChangeBatch", told_)
    traffic.script.on(aws.route53(), "ChangeResourceRecordSets", refusal)
    answer = put(alpha=100)
    assert (answer.status, answer.error["code"]) == (409, "RouteRefused")
    assert answer.error["message"].endswith(told_)
    assert told(ALPHA) == []


def test_names_beside_the_routes_do_not_matter(traffic: Traffic) -> None:
    for name in (f"a.{NAME}", f"zalpha.stage.{calls.DOMAIN}", calls.DOMAIN):
        traffic.zone.put(Name=name, Type="A", ResourceRecords=[{"Value": "192.0.2.1"}])
    assert put(alpha=100).status == 200
    assert show()["weights"] == {"alpha": 100}


def test_a_tenant_that_cannot_be_routed_to_is_refused_and_says_why(traffic: Traffic) -> None:
    answer = put(alpha=90, alpha_red=10)
    assert "notes-stage-alpha-red was never deployed" in answer.error["message"]
    calls.deployed(build.tenant("alpha-old"), build.push_source(build.FILES))
    answer = put(alpha=90, alpha_old=10)
    assert "without [route] in its manifest" in answer.error["message"]
    source = build.push_source(calls.FILES)
    calls.deployed(build.tenant("alpha-odd"), source, outputs={"Url": "not a host"})
    answer = put(alpha=90, alpha_odd=10)
    assert "no address in its output Url, only 'not a host'" in answer.error["message"]
    assert traffic.records() == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"weights": {"alpha": 50}}, "weights"),
        ({"weights": {"beta": 100}}, "weights"),
        ({"weights": {"Alpha": 100}}, "weights.Alpha.[key]"),
        ({"weights": {"alpha": "x"}}, "weights.alpha"),
        ({}, "weights"),
        ({"weights": {"alpha": 100}, "ttl": 5}, "ttl"),
        ({"weights": {"alpha": 100}, "application": "control-plane"}, "application"),
    ],
)
def test_a_wrong_request_names_its_field(
    traffic: Traffic, body: dict[str, Any], field: str
) -> None:
    answer = call("PUT", HERE, body)
    assert (answer.status, answer.fields) == (400, [field])


def test_a_tenant_that_is_part_of_a_route_says_whose(traffic: Traffic) -> None:
    put(alpha=90, alpha_blue=10)
    answer = call("GET", "/envs/stage/orgs/alpha-blue/route")
    assert answer.status == 404
    assert "part of the route of alpha: 'syndi route show stage alpha'" in answer.error["message"]
    nobody = call("GET", "/envs/stage/orgs/beta/route")
    assert "beta has no route in stage" in nobody.error["message"]
