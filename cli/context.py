"""What every command is told by the options before it, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, urlencode

import typer
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from cli import connection
from cli.failure import CommandError
from cli.output import err, print_json
from control_plane import own
from control_plane.models import Env
from local.errors import LaptopError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Context:
    """The options of the whole command line."""

    local: bool = False
    as_json: bool = False

    def api(self) -> connection.Api:
        """The control plane's API."""
        return connection.connect(self.local)

    def typed(self, text: str) -> str:
        """A text whose commands are as they are typed for this AWS."""
        return connection.for_laptop(text) if self.local else text


current = Context()
"""Set by the command line's own options, before any command runs."""


def command(function: Callable[P, R]) -> Callable[P, R]:
    """A command whose failures end in one message and their exit code, never in a traceback."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        current.as_json = current.as_json or bool(kwargs.get("as_json"))
        try:
            return function(*args, **kwargs)
        except CommandError as error:
            raise _ended(error.code, str(error), error.details, error.exit_code) from error
        except LaptopError as error:
            raise _ended(type(error).__name__, str(error), [], 1) from error
        except KeyboardInterrupt:
            err.print("\ninterrupted; running the same command again is safe", style="red")
            raise typer.Exit(130) from None
        except (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError) as error:
            # AWS, the network or a file: nothing that a traceback would explain.
            told = " ".join(str(error).split())
            raise _ended(type(error).__name__, told, [], 1) from error

    return run


def _ended(code: str, message: str, details: list[Any], exit_code: int) -> typer.Exit:
    message = current.typed(message)
    if current.as_json:
        print_json({"error": {"code": code, "message": message, "details": details}})
    else:
        err.print(f"error: {message}", style="red", markup=False)
    return typer.Exit(exit_code)


def tenant_path(env: Env, org: str, application: str | None = None) -> str:
    """The API's path of a tenant; the control plane itself has one of its own.

    What is no organization's name, and another control plane than this one, is left to the API to
    refuse.
    """
    own_stack = connection.stack_name(current.local)
    if application == own.APPLICATION and f"{application}-{env}-{org}" == own_stack:
        return f"/{own.APPLICATION}"
    return f"/envs/{env}/orgs/{quote(org, safe='')}"


def query(**parameters: str | int | None) -> str:
    """A query of the API, with its question mark; parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    # Spaces as %20: a plus would have another signature at the API.
    return f"?{urlencode(given, quote_via=quote)}" if given else ""


def once(idempotency_key: str | None) -> dict[str, str]:
    """The header with which a request starts only once, however often it is sent."""
    return {"Idempotency-Key": idempotency_key} if idempotency_key else {}


def say(message: str) -> None:
    """Tell how far it is, unless programs read along."""
    if not current.as_json:
        err.print(current.typed(message), style="dim", markup=False)
