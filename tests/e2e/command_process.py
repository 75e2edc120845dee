"""Processes of the command line that are forked from one which has imported it.

A run of all tests starts some thousand commands. The second of imports that each would take, and
that ten emulators compete with, is spent once. What runs is a process of its own all the same: with
its arguments, environment, directory, output and exit code.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(
    arguments: Sequence[str], environment: Mapping[str, str], seconds: float
) -> tuple[int, str, str]:
    """Run `syndi` in ROOT, without an input; gives its exit code, output and error output.

    Raises TimeoutError after `seconds`, and EOFError when the process died without an exit code.
    """
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as parent:
        out, err = (Path(directory) / name for name in ("out", "err"))
        parent.settimeout(seconds)
        parent.connect(str(_parent()))
        request = {"arguments": list(arguments), "environment": dict(environment)}
        request |= {"out": str(out), "err": str(err)}
        parent.sendall(json.dumps(request).encode() + b"\n")
        code = parent.recv(16)
        if not code:
            raise EOFError(f"{arguments}: {err.read_text()}")
        return int(code), out.read_text(), err.read_text()


@cache
def _parent() -> Path:
    """The socket of this process's parent of commands, which ends when this process does."""
    address = Path(tempfile.mkdtemp(prefix="syndi-")) / "commands"
    command = [sys.executable, __file__, str(address)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n", "the command line cannot be imported"
    return address


def _serve(address: str) -> None:
    sys.path[0] = str(ROOT)
    import cli.main  # what all commands share

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:  # closed: the tests have ended
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                os._exit(_command(connection, cli.main.main))
            connection.close()


def _command(connection: socket.socket, main: object) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in enumerate((os.devnull, request["out"], request["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["syndi", *request["arguments"]]
    code = 1
    try:
        assert callable(main)
        main()
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        else:
            code = end.code or 0
    except BaseException:  # noqa: BLE001 - a process that ends by it prints it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    return code


if __name__ == "__main__":
    _serve(sys.argv[1])
