"""A CloudFormation that throttles: microburst in front of the emulator, for its functions only."""

import json
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from syndi_command import ROOT, eventually

READS = ("DescribeStacks", "DescribeStackEvents", "DescribeEvents", "DescribeChangeSet")
PER_SECOND = 5

_IS_READ = " || ".join(f"Action == '{name}'" for name in READS)
_PASS, _THROTTLE = "match", "error:Throttling"
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

    def forget(self) -> None:
        """Begin a new log."""
        self._call("DELETE", "fired")

    def throttled(self) -> Counter[str]:
        """How many reads were refused, by operation."""
        return Counter(event["operation"] for event in self._events(_THROTTLE))

    @contextmanager
    def with_neighbour(self, per_second: float) -> Iterator[Counter[str]]:
        """Somebody else of the account reads too: the limit is the account's. Gives what became of
        those reads. So a limit is met however slow the machine is, and by a single deployment."""
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
                    told["passed"] += 1
                except ClientError as error:
                    told[error.response["Error"]["Code"]] += 1

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield told
        finally:
            over.set()
            thread.join()

    def busiest_second(self) -> int:
        """The most reads that were let through within any second."""
        times = [event["ts"] for event in self._events(_PASS)]
        return max(sum(at <= other < at + 1 for other in times) for at in times)

    def answers(self) -> bool:
        """Whether it runs."""
        try:
            return bool(self._call("GET", "health"))
        except OSError:
            return False

    def _events(self, action: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "fired?limit=2000")
        return [event for event in found if event["action"] == action]

    def _call(self, method: str, what: str) -> Any:
        request = urllib.request.Request(f"{self.endpoint}/_microburst/{what}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


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
