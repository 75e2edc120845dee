"""`python -m local.codebuild`: serve until SIGTERM. Configured by SYNDI_LOCAL_* variables."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from local.codebuild.server import Server
from local.codebuild.service import CodeBuild
from local.errors import LaptopError
from local.laptop import Laptop


def main() -> int:
    """1 when the settings are unusable or the port is taken."""
    try:
        laptop = Laptop.at(Path(__file__).parents[2])
        service = CodeBuild(laptop)
        server = Server(laptop.codebuild_port, service)
    except (LaptopError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"CodeBuild endpoint on {laptop.codebuild_endpoint}", flush=True)
    stopping.wait()
    service.close()  # before the server: whoever waits for a build still learns how it ended
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
