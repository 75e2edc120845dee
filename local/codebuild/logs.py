"""A build's log: into CloudWatch Logs while the build runs, a few lines at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

_FLUSH_SECONDS = 0.5
_MAX_EVENTS = 1000
_MAX_LINE = 200_000  # characters; one event may hold 256 KiB


class BuildLog:
    """Lines given to `line` appear in the stream at most half a second later. `close` sends the
    rest. A line that cannot be delivered is lost: a build does not fail for its log."""

    def __init__(self, client: CloudWatchLogsClient, group: str, stream: str) -> None:
        """Creates the stream, and its group where the template has not. Raises botocore's
        ClientError, AccessDenied for one, when the service role may not."""
        try:
            client.create_log_stream(logGroupName=group, logStreamName=stream)
        except client.exceptions.ResourceNotFoundException:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=group)
            client.create_log_stream(logGroupName=group, logStreamName=stream)
        self._client, self._group, self._stream = client, group, stream
        self._events: list[InputLogEventTypeDef] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Add a line; safe from any thread. An empty line is sent as a blank, as AWS refuses an
        empty event."""
        event: InputLogEventTypeDef = {
            "timestamp": int(time.time() * 1000),
            "message": (text[:_MAX_LINE] or " ") + "\n",
        }
        with self._lock:
            self._events.append(event)

    def container(self, text: str) -> None:
        """A line of the build machinery itself, worded and dated as CodeBuild does."""
        now = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime())
        self.line(f"[Container] {now} {text}")

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5.0)

    def _flush_often(self) -> None:
        while not self._closing.wait(_FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while True:
            with self._lock:
                batch, self._events = self._events[:_MAX_EVENTS], self._events[_MAX_EVENTS:]
            if not batch:
                return
            with contextlib.suppress(Exception):  # see the class: a log never fails a build
                self._client.put_log_events(
                    logGroupName=self._group, logStreamName=self._stream, logEvents=batch
                )
