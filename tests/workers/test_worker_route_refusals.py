"""What no route can be: refused by name, and nothing is changed."""

from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from route_calls import NAME, Traffic, told
from test_worker_route import HERE, put, reverse, show, traffic
from worker_builders import ALPHA
from zone_answers import ID

from control_plane import aws

__all__ = ["traffic"]


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
