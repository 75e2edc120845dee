"""The trial's files, as they are in this function's bundle."""

from functools import cache
from pathlib import Path

from control_plane.errors import TrialFailed
from control_plane.own import TRIAL_DIRECTORY

BUNDLED = Path(__file__).resolve().parent.parent


@cache
def files() -> dict[str, bytes]:
    """Each file's content by its path. Raises TrialFailed when there is none."""
    root = BUNDLED / TRIAL_DIRECTORY
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if not found:
        raise TrialFailed(f"there is no trial in {root} of this bundle")
    return found
