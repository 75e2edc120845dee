"""What requests look like that carry or name documents."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

# Letters first, no dots or slashes: an id is part of an object key and of nothing else.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

DocumentId = Annotated[str, Path(pattern=ID_PATTERN)]
Limit = Annotated[int | None, Query(ge=1, le=1_000)]
After = Annotated[str | None, Query(min_length=1, max_length=256)]


class Content(BaseModel):
    """What a draft or a notebook says: the fields of the procedure that it follows."""

    model_config = ConfigDict(extra="forbid")

    sop_id: str = Field(alias="sopId", pattern=ID_PATTERN)
    title: str = Field(min_length=1, max_length=200)
    data: dict[str, Any] = Field(default_factory=dict)


class Submission(Content):
    """A notebook that is submitted. Without an id it gets one."""

    id: str | None = Field(default=None, pattern=ID_PATTERN)
