"""Starts microburst as a proxy that functions can sign for: `.tools/microburst/bin/python THIS …`.

A request is signed with the Host that its sender used. microburst sends on the upstream's instead,
so that the emulator, which checks the signatures of all but root, answers SignatureDoesNotMatch;
its way out, signing again, would be with one key for everybody, and no role's policy would count.
Here the sender's Host stays. Runs in microburst's environment; its arguments are microburst's.
"""

import importlib
import sys
from typing import Any


def main() -> int:
    """Serve until SIGTERM."""
    upstream: Any = importlib.import_module("microburst.forward").Upstream
    known = upstream._outbound_headers

    def outbound_headers(self: Any, request: Any) -> dict[str, str]:
        headers: dict[str, str] = known(self, request)
        return {**headers, "host": request.headers["Host"]}

    upstream._outbound_headers = outbound_headers
    return int(importlib.import_module("microburst.cli").main())


if __name__ == "__main__":
    sys.exit(main())
