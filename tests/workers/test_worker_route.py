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
