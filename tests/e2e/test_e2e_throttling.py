"""CloudFormation's reads throttled to five a second: nothing fails for it, and nothing is false."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import free_port, started
from fleets import Json, most_at_once, orgs
from sources import ALMANAC, APPLICATION, copied, never_completes, push
from syndi_command import Syndi
from throttle import PER_SECOND, Proxy, throttling

TENANTS = orgs("rapids", 12)


@pytest.fixture(scope="module")
def port() -> int:
    """Where the proxy is."""
    return free_port()


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Syndi]:
    """A laptop of its own, whose functions find CloudFormation behind the proxy."""
    endpoint = {"SYNDI_LOCAL_CLOUDFORMATION_ENDPOINT": f"http://127.0.0.1:{port}"}
    with started(tmp_path_factory.mktemp("throttled"), **endpoint) as command:
        push(command, ALMANAC, "dev")
        yield command


@pytest.fixture(scope="module")
def proxy(syndi: Syndi, port: int) -> Iterator[Proxy]:
    """The proxy, in front of that laptop."""
    upstream = f"http://127.0.0.1:{syndi.variables['SYNDI_LOCAL_PORT']}"
    with throttling(port, upstream, syndi.state) as found:
        yield found


def test_twelve_tenants_at_once_are_all_deployed(syndi: Syndi, proxy: Proxy) -> None:
    proxy.forget()
    with ThreadPoolExecutor(len(TENANTS)) as at_once:
        found = list(at_once.map(lambda org: deployed(syndi, org), TENANTS))
    assert Counter(record["status"] for record in found) == {"SUCCEEDED": len(TENANTS)}, [
        record["reason"] for record in found if record["status"] != "SUCCEEDED"
    ]
    assert most_at_once(found, "CheckStack") > len(TENANTS) / 2, "they worked at the same time"
    assert proxy.busiest_second() <= PER_SECOND
    assert sum(proxy.throttled().values()) > len(TENANTS), "they met the limit"
    for record in found:
        honest(syndi, record)


def deployed(syndi: Syndi, org: str) -> Json:
    """A deployment of the almanac, to its end, however it ends."""
    record: Json = syndi.attempt("dev", org, *APPLICATION).json
    return record


def honest(syndi: Syndi, record: Json) -> None:
    """The record says of a first deployment what was so, although reads of the stack failed."""
    name = record["stack_name"]
    assert record["steps"]["CheckStack"]["note"].startswith("no stack: create"), name
    assert record["change_set"]["summary"]["added"], name
    assert record["steps"]["AwaitStack"]["note"] == "CREATE_COMPLETE", name
    assert syndi.stack(name)["status"] == "CREATE_COMPLETE", name
