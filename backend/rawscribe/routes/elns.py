"""Electronic laboratory notebooks: submitted once, never changed.

S3 decides who was first (`If-None-Match: *`), the function's role has no right to delete, and no
route changes or removes a notebook.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends

from rawscribe.documents import After, DocumentId, Limit, Submission
from rawscribe.errors import Conflict, NotFound
from rawscribe.identity import Identity
from rawscribe.permissions import Permission, allows
from rawscribe.services import CurrentServices, CurrentSettings, Needs
from rawscribe.storage import DocumentStore

router = APIRouter(prefix="/api/elns")


def _notebooks(services: CurrentServices, settings: CurrentSettings) -> DocumentStore:
    return services.store(settings.storage.elns, settings)


Notebooks = Annotated[DocumentStore, Depends(_notebooks)]


@router.post("", status_code=201)
def submit_eln(
    submission: Submission,
    notebooks: Notebooks,
    author: Annotated[Identity, Depends(Needs(Permission.SUBMIT_ELNS))],
) -> dict[str, Any]:
    """Submit a notebook. The same id a second time is a conflict, whoever sends it."""
    eln = {
        **submission.model_dump(by_alias=True),
        "id": submission.id or uuid4().hex,
        "author": author.subject,
        "submittedAt": datetime.now(UTC).isoformat(),
    }
    if not notebooks.create(f"{eln['id']}.json", eln):
        raise Conflict("a notebook of that id was submitted already; it cannot be changed")
    return eln


@router.get("", dependencies=[Depends(Needs(Permission.READ_ALL_ELNS))])
def list_elns(
    notebooks: Notebooks, settings: CurrentSettings, limit: Limit = None, after: After = None
) -> dict[str, Any]:
    """Everybody's notebooks, by id."""
    entries, following = notebooks.page(min(limit or 1_000, settings.limits.page_size), after)
    items = [
        {
            "id": entry.name.removesuffix(".json"),
            "size": entry.size,
            "submittedAt": entry.updated_at,
        }
        for entry in entries
    ]
    return {"items": items, "next": following}


@router.get("/{id}")
def get_eln(
    id: DocumentId,
    notebooks: Notebooks,
    reader: Annotated[Identity, Depends(Needs(Permission.READ_OWN_ELNS))],
) -> dict[str, Any]:
    """One notebook; somebody else's only with the permission to read all of them."""
    stored = notebooks.get(f"{id}.json")
    eln = stored.json() if stored else None
    if eln is None or not (
        allows(reader.groups, Permission.READ_ALL_ELNS) or eln.get("author") == reader.subject
    ):
        raise NotFound("no such notebook")
    return eln
