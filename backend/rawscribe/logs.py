"""Log lines as JSON objects: a fixed message and facts. Never a body, a token or a name."""

import json
import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """One line per record, `extra` as keys."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line = {"level": record.levelname, "message": record.getMessage(), **facts}
        return json.dumps(line, default=str)


def configure() -> None:
    """Send this application's log to stdout, once, whatever the runtime did to the root logger."""
    logger = logging.getLogger("rawscribe")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
