"""What can go wrong on a laptop. Every message is written for the operator: what happened, what to
do next. Standard library only, so that the emulator's own lean environment can import it."""


class LaptopError(Exception):
    """Base of everything `local/` raises on purpose; the message is for the operator."""


class ToolsMissing(LaptopError):
    """A tool environment below .tools/ is not installed."""


class SettingInvalid(LaptopError):
    """An environment variable of this package holds something unusable."""


class PortTaken(LaptopError):
    """Somebody else listens on a port that is needed."""


class StartFailed(LaptopError):
    """A process died or did not become healthy before the deadline."""


class StopFailed(LaptopError):
    """A process that was started by `up` could not be stopped, even with SIGKILL."""


class Busy(LaptopError):
    """Another `up`, `down` or `reset` works on the same state directory."""


class UnexpectedEmulator(LaptopError):
    """The installed emulator is not the version the patches were written for."""


class OperatorFailed(LaptopError):
    """The operator's IAM user could not be created or its key not be stored."""
