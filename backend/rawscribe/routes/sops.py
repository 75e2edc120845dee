"""Standard operating procedures: JSON or YAML files that people put into the forms bucket."""

import json
import re
from typing import Any

import yaml
from fastapi import APIRouter, Depends

from rawscribe.documents import After, DocumentId, Limit
from rawscribe.errors import NotFound, UnreadableDocument
from rawscribe.permissions import Permission
from rawscribe.services import CurrentServices, CurrentSettings, Needs

router = APIRouter(prefix="/api/sops", dependencies=[Depends(Needs(Permission.READ_SOPS))])

EXTENSIONS = ("json", "yaml", "yml")
FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.(json|yaml|yml)")


@router.get("")
def list_sops(
    services: CurrentServices,
    settings: CurrentSettings,
    limit: Limit = None,
    after: After = None,
) -> dict[str, Any]:
    """The procedures, by name. Other files in the bucket are skipped."""
    store = services.store(settings.storage.forms, settings)
    entries, following = store.page(min(limit or 1_000, settings.limits.page_size), after)
    items = [
        {"id": match[1], "format": match[2], "size": entry.size, "updatedAt": entry.updated_at}
        for entry in entries
        if (match := FILE.fullmatch(entry.name))
    ]
    return {"items": items, "next": following}


@router.get("/{id}")
def get_sop(id: DocumentId, services: CurrentServices, settings: CurrentSettings) -> dict[str, Any]:
    """One procedure. With several files of that name, JSON wins."""
    store = services.store(settings.storage.forms, settings)
    for extension in EXTENSIONS:
        if stored := store.get(f"{id}.{extension}"):
            return {"id": id, "format": extension, "content": _parse(stored.content, extension)}
    raise NotFound("no such procedure")


def _parse(content: bytes, extension: str) -> Any:
    try:
        document = json.loads(content) if extension == "json" else yaml.safe_load(content)
        # YAML knows dates and the like; the answer is JSON.
        return json.loads(json.dumps(document, default=str, allow_nan=False))
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise UnreadableDocument("the procedure is not readable", {"format": extension}) from error
