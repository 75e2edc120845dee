"""How a command ends without success: two exceptions, two exit codes."""


class CommandError(Exception):
    """Ends the command with a message. `code` is for programs, `details` name wrong fields."""

    exit_code = 1

    def __init__(
        self, message: str, code: str = "", details: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code or type(self).__name__
        self.details = details or []


class Failed(CommandError):
    """It was tried, and it failed: exit code 1."""


class Refused(CommandError):
    """The request is wrong or impossible; nothing was started: exit code 2."""

    exit_code = 2
