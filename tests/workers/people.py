"""People who are told, in place of the event bus; messages may get lost."""

from dataclasses import dataclass, field

from control_plane.services.notifications import Notice


@dataclass
class People:
    """What they were told. `lost`: what becomes of the next messages instead, an error that the
    sender dies of, or None for one that the bus does not take."""

    notices: list[Notice] = field(default_factory=list)
    lost: list[Exception | None] = field(default_factory=list)

    def send(self, notice: Notice, stack: str) -> bool:
        """As `notifications.send`."""
        if self.lost:
            error = self.lost.pop()
            if error is None:
                return False
            raise error
        self.notices.append(notice)
        return True

    @property
    def kinds(self) -> list[str]:
        """What happened, by name."""
        return [notice.kind for notice in self.notices]


def died() -> RuntimeError:
    """The worker's end between the write and the message."""
    return RuntimeError("killed")
