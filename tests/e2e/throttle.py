"""A CloudFormation that throttles: microburst in front of the emulator, for its functions only."""

import json
import re
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from syndi_command import ROOT, eventually

READS = ("DescribeStacks", "DescribeStackEvents", "DescribeEvents", "DescribeChangeSet")
PER_SECOND = 5


def answer_lost(operation: str) -> dict[str, object]:
    """An operation of CloudFormation that works, once, and whose answer does not arrive."""
    return {
        "service": "cloudformation", "operation": operation, "times": 1,
        "response": {"abort_bytes": 1},
    }  # fmt: skip


_IS_READ = " || ".join(f"Action == '{name}'" for name in READS)
_PASS = "match"
_REFUSED = re.compile(r'faults_total{.*operation="(\w+)",action="error:Throttling"} (\d+)')
# The first rule that fires decides. A rate limits how often a rule fires, not how often a request
# passes: so the rule with the rate is the one that does nothing to a request, and lets it pass.
RULES = [
    {"service": "cloudformation", "body": _IS_READ, "rate": {"count": PER_SECOND, "window_s": 1}},
    {
        "service": "cloudformation",
        "body": _IS_READ,
        "error": {"code": "Throttling", "status": 400, "message": "Rate exceeded"},
    },
]


@dataclass(frozen=True)
class Proxy:
    """The proxy, as the tests look at it."""

    endpoint: str

    def refused(self) -> Counter[str]:
        """How many reads it has refused so far, by operation."""
        return Counter(
            {name: int(number) for name, number in _REFUSED.findall(self._get("metrics"))}
        )

    @contextmanager
    def with_neighbour(self, per_second: float) -> Iterator[Counter[str]]:
        """Somebody else of the account reads too: the limit is the account's. Gives how many
        of those reads were refused. So deployments meet the limit however slow the machine is."""
        told: Counter[str] = Counter()
        over = threading.Event()

        def read() -> None:
            client = boto3.client(
                "cloudformation", endpoint_url=self.endpoint, region_name="us-east-1",
                aws_access_key_id="test", aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )  # fmt: skip
            while not over.wait(1 / per_second):
                try:
                    client.describe_stacks()
                except ClientError:
                    told["DescribeStacks"] += 1

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield told
        finally:
            over.set()
            thread.join()

    @contextmanager
    def with_rules(self, *rules: dict[str, object]) -> Iterator[None]:
        """Other faults than throttling, for a while."""
        self._set(list(rules))
        try:
            yield
        finally:
            self._set(RULES)

    def _set(self, rules: object) -> None:
        request = urllib.request.Request(
            f"{self.endpoint}/_microburst/rules",
            data=json.dumps(rules).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def lost(self) -> list[str]:
        """The operations whose answers were lost, of the last 2,000 in its log."""
        log = json.loads(self._get("fired?limit=2000"))
        return [event["operation"] for event in log if "abort" in event["action"]]

    def busiest_second(self) -> int:
        """The most reads that were let through within any second, of the last 2,000 in its log."""
        log = json.loads(self._get("fired?limit=2000"))
        times = [event["ts"] for event in log if event["action"] == _PASS]
        return max(sum(at <= other < at + 1 for other in times) for at in times)

    def answers(self) -> bool:
        """Whether it runs."""
        try:
            return bool(self._get("health"))
        except OSError:
            return False

    def _get(self, what: str) -> str:
        with urllib.request.urlopen(f"{self.endpoint}/_microburst/{what}", timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def throttling(port: int, upstream: str, state: Path) -> Iterator[Proxy]:
    """The proxy on a port in front of an endpoint, and its end; its log is below `state`."""
    python = ROOT / ".tools" / "microburst" / "bin" / "python"
    assert python.exists(), "the proxy is not installed: run `make test-tools`"
    rules = state / "throttle.json"  # JSON is YAML
    rules.write_text(json.dumps({"rules": RULES}))
    proxy = Proxy(f"http://127.0.0.1:{port}")
    command = [
        str(python), str(Path(__file__).with_name("throttling_proxy.py")),
        "--host", "127.0.0.1", "--port", str(port), "--upstream", upstream, "--config", str(rules),
    ]  # fmt: skip
    with (state / "throttle.log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            eventually(proxy.answers, 30, "an answer of the proxy")
            yield proxy
        finally:
            running.terminate()
            running.wait(20)
