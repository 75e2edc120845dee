"""Drafts: what somebody has begun. Each belongs to one user and does not exist for the others.

The owner is part of the key, so no check can be forgotten: another user's request looks in
another place.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends

from rawscribe.documents import After, Content, DocumentId, Limit
from rawscribe.errors import Conflict, NotFound
from rawscribe.identity import Identity
from rawscribe.permissions import Permission
from rawscribe.services import CurrentServices, CurrentSettings, Needs
from rawscribe.storage import DocumentStore

router = APIRouter(prefix="/api/drafts")
Owner = Annotated[Identity, Depends(Needs(Permission.KEEP_DRAFTS))]


def _own(services: CurrentServices, settings: CurrentSettings, owner: Owner) -> DocumentStore:
    place = settings.storage.drafts
    mine = place.model_copy(update={"prefix": f"{place.prefix}{owner.subject}/"})
    return services.store(mine, settings)


OwnDrafts = Annotated[DocumentStore, Depends(_own)]


@router.post("", status_code=201)
def create_draft(content: Content, drafts: OwnDrafts, owner: Owner) -> dict[str, Any]:
    """Begin a draft; the answer has its id."""
    now = datetime.now(UTC).isoformat()
    draft = {
        "id": uuid4().hex,
        "owner": owner.subject,
        **content.model_dump(by_alias=True),
        "createdAt": now,
        "updatedAt": now,
    }
    if not drafts.create(f"{draft['id']}.json", draft):
        raise Conflict("a draft of that id was just created")
    return draft


@router.get("")
def list_drafts(
    drafts: OwnDrafts, settings: CurrentSettings, limit: Limit = None, after: After = None
) -> dict[str, Any]:
    """The caller's own drafts."""
    entries, following = drafts.page(min(limit or 1_000, settings.limits.page_size), after)
    items = [
        {"id": entry.name.removesuffix(".json"), "size": entry.size, "updatedAt": entry.updated_at}
        for entry in entries
    ]
    return {"items": items, "next": following}


@router.get("/{id}")
def get_draft(id: DocumentId, drafts: OwnDrafts) -> dict[str, Any]:
    """One of the caller's own drafts."""
    stored = drafts.get(f"{id}.json")
    if stored is None:
        raise NotFound("no such draft")
    return stored.json()


@router.put("/{id}")
def update_draft(id: DocumentId, content: Content, drafts: OwnDrafts) -> dict[str, Any]:
    """Replace what a draft says."""
    stored = drafts.get(f"{id}.json")
    if stored is None:
        raise NotFound("no such draft")
    draft = {
        **stored.json(),
        **content.model_dump(by_alias=True),
        "updatedAt": datetime.now(UTC).isoformat(),
    }
    if not drafts.replace(f"{id}.json", draft, stored.etag):
        raise Conflict("the draft was changed or removed meanwhile; read it again")
    return draft


@router.delete("/{id}", status_code=204)
def delete_draft(id: DocumentId, drafts: OwnDrafts) -> None:
    """Throw a draft away."""
    if drafts.get(f"{id}.json") is None:
        raise NotFound("no such draft")
    drafts.delete(f"{id}.json")
