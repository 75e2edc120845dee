"""What is wrong with a value that was sent, in words for people instead of pydantic's."""

import re
from collections.abc import Mapping
from typing import Any

from control_plane.models import (
    ALLOWED_PATTERN,
    BUILD_PATTERN,
    DEPLOYMENT_ID_PATTERN,
    EMAIL_PATTERN,
    EXPRESSION_PATTERN,
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    LOGICAL_ID_PATTERN,
    ORG_PATTERN,
    SHA256_PATTERN,
    TIMEZONE_PATTERN,
)

_PATTERNS = {
    ORG_PATTERN: "must be lowercase letters and digits, with single hyphens between: myorg, my-org",
    EMAIL_PATTERN: "must be an e-mail address",
    SHA256_PATTERN: "must be a SHA-256: 64 lowercase hexadecimal digits",
    EXPRESSION_PATTERN: "must be such as rate(5 minutes), or cron(0 6 * * ? *) with six fields",
    TIMEZONE_PATTERN: "must be a time zone, such as UTC or Europe/Berlin",
    DEPLOYMENT_ID_PATTERN: "must be a deployment's id, as 'syndi history' lists them",
    LOGICAL_ID_PATTERN: "must be a resource's logical id, as the change set names it: Users, "
    "or Data/Orders in a nested stack",
    ALLOWED_PATTERN: "must be a number or a whole percentage: 3 or 5%",
    LABEL_KEY_PATTERN: "must be a label's key: a lowercase letter, then up to 39 lowercase "
    "letters, digits and hyphens",
    LABEL_VALUE_PATTERN: "must be a label's value: 1 to 60 letters, digits, dots, hyphens and "
    "underscores",
    BUILD_PATTERN: "must be how a build begins, as 'syndi tenants' shows it: 4 to 64 hexadecimal "
    "digits",
}
"""What a pattern asks for."""

_FIELDS = {"rollout_id": "must be a rollout's id, as 'syndi rollout list' lists them"}
"""The same, where a field with that pattern is of another kind."""

_TYPES = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "may have {max_length} characters",
    "too_long": "may have {max_length} entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
"""What pydantic's type of an error means; the fields are of its context."""

_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""How pydantic shows an enum's member that is one of several literals."""


def reason(item: Mapping[str, Any]) -> str:
    """What is wrong with a value, from one of pydantic's errors; never the value itself."""
    context = {name: _whole(value) for name, value in (item.get("ctx") or {}).items()}
    pattern = context.get("pattern", "")
    if pattern in _PATTERNS:
        return _FIELDS.get(str(item["loc"][-1]), _PATTERNS[pattern])
    told = _TYPES.get(item["type"])
    return told.format_map(context) if told else str(item["msg"])


def _whole(value: Any) -> Any:
    """A bound as it is written by hand: 1, not 1.0; a mode's value, not its name in the code."""
    if isinstance(value, str):
        return _MEMBER.sub(r"\1", value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
