"""The manifest of an application: `application.toml` in the root of its source.

Everything that the control plane must know of an application stands here; docs/application.md is
its reference. Parsed strictly: an unknown key is an error, because a misspelt one would silently
change what is deployed.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from control_plane import parsing
from control_plane.errors import InvalidRequest

FILE_NAME = "application.toml"


def _inside(path: str) -> str:
    """A path that stays inside the source: a build must not read or write anywhere else."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("must be a relative path inside the source")
    return path


SourcePath = Annotated[str, AfterValidator(_inside)]
HttpPath = Annotated[str, StringConstraints(pattern=r"^/\S*$")]
DottedPath = Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=200)]
Command = Annotated[str, StringConstraints(pattern=r"^[^\n]+$", max_length=1000)]


def _no_environment_in(name: str) -> str:
    """`a-stage` in `dev/x` and `a` in `stage/dev-x` would both own the stack `a-stage-dev-x`."""
    if not {"dev", "test", "stage", "prod"}.isdisjoint(name.split("-")):
        raise ValueError("must not have the name of an environment (dev, test, stage, prod) in it")
    return name


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=30),
    AfterValidator(_no_environment_in),
]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildTable(_Table):
    """How the source becomes a build. `per_tenant`: its commands need a tenant's name, so that each
    tenant gets a build of its own; otherwise one build serves all tenants of an environment."""

    template: SourcePath = "template.yaml"
    per_tenant: bool = False
    commands: tuple[Command, ...] = ()
    stamp: SourcePath
    dependencies: SourcePath | None = None
    dependency_overrides: SourcePath | None = None


class PackageTable(_Table):
    """The function's package without a build, for `function` mode: `code`, a directory of the
    source, lies below `into` in it."""

    code: SourcePath
    into: SourcePath
    exclude: tuple[str, ...] = ()


class StackTable(_Table):
    """What the application's stack is made of. `function`: what is patched, and compared."""

    function: str | None = None
    layer: str | None = None
    buckets: tuple[str, ...] = ()
    stateful_types: tuple[str, ...] = ()
    parameters: dict[Literal["enable_auth", "create_buckets"], str] = Field(default_factory=dict)
    first_deployment: dict[str, str] = Field(default_factory=dict)


class ConfigTable(_Table):
    """Where the tenant's configuration comes from and goes to. `schema`: the file of the source
    with the JSON Schema that every merged configuration must fit."""

    directory: SourcePath
    bucket: str
    key: str
    schema_: SourcePath | None = Field(default=None, alias="schema")
    outputs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_output_inside_another(self) -> "ConfigTable":
        for path in self.outputs:
            if any(other.startswith(f"{path}.") for other in self.outputs):
                raise ValueError(f"outputs: {path} is a value and holds others")
        return self


class AdminTable(_Table):
    """Where an administrator is created: names of stack outputs, and a group."""

    user_pool: str
    client: str
    group: str


Reason = Annotated[str, StringConstraints(min_length=3, max_length=300, pattern=r"\S")]


def _one_resource(arn: str) -> str:
    """An ARN, with an open end only where its resource has parts: never a choice of resources; or
    the address of an issuer of tokens."""
    if re.fullmatch(r"https://[^*?\s]+", arn):
        return arn
    named = re.sub(r"(/\*|:\*|-\?{6})$", "", arn)
    if not re.fullmatch(r"arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:[^*?\s]+", named):
        raise ValueError(
            "must be the ARN of one resource; '*' may only stand for what is in it (…:::x/*)"
        )
    return arn


class IsolationTable(_Table):
    """What is reached beyond the tenant, or from everywhere, on purpose; each with its reason.

    `shared`: ARNs of resources, and addresses of issuers, that are no tenant's. `public`: what
    answers without signing in: `GET /path` of the API, or the logical id of a function's address, a
    bucket, a queue, a topic.
    """

    shared: dict[Annotated[str, AfterValidator(_one_resource)], Reason] = Field(
        default_factory=dict
    )
    public: dict[
        Annotated[str, StringConstraints(pattern=r"^([A-Z]+ /\S*|[A-Za-z0-9]{1,255})$")], Reason
    ] = Field(default_factory=dict)


class RouteTable(_Table):
    """Where a weighted route leads to: the stack output with the address or the host name that
    answers for `{org}.{env}.{domain}`."""

    output: str


class TrialTable(_Table):
    """The application, in `directory`, that a control plane deploys to prove itself."""

    directory: SourcePath


class TestsTable(_Table):
    """How a live tenant is asked whether it works. `signed`: with Signature Version 4, by an
    endpoint that wants AWS credentials. `healthy`: the values at `status` that are green
    (`rules/tenant_health.py`); `config`: where the health answer has the SHA-256 of the
    configuration that is in use."""

    __test__ = False  # pytest would take a class of this name for tests

    endpoint: str
    health: HttpPath
    fingerprint: str
    status: DottedPath | None = None
    healthy: (
        Annotated[tuple[StrictStr | StrictBool | StrictInt, ...], Field(min_length=1)] | None
    ) = None
    config: DottedPath | None = None
    signed: bool = False
    protected: HttpPath | None = None
    identity: str | None = None
    groups: str | None = None
    runtime_config: HttpPath | None = None
    runtime_user_pool: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "TestsTable":
        if self.status and self.healthy is None:
            raise ValueError("status needs healthy: which of its values are green?")
        if self.protected and not (self.identity and self.groups):
            raise ValueError("protected needs identity and groups: where its answer names the user")
        if self.runtime_config and not self.runtime_user_pool:
            raise ValueError("runtime_config needs runtime_user_pool: where it names the pool")
        return self


class Manifest(_Table):
    """An application, as its source describes it."""

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    build: BuildTable
    package: PackageTable | None = None
    stack: StackTable
    config: ConfigTable | None = None
    admin: AdminTable | None = None
    tests: TestsTable
    route: RouteTable | None = None
    isolation: IsolationTable = IsolationTable()
    trial: TrialTable | None = None

    @property
    def public(self) -> frozenset[str]:
        """What answers without signing in, as declared: routes (`GET /path`) and logical ids."""
        paths = (self.tests.health, self.tests.runtime_config)
        return frozenset({*self.isolation.public, *(f"GET {path}" for path in paths if path)})

    @model_validator(mode="after")
    def _stamp_is_in_the_package(self) -> "Manifest":
        if self.package and not self.build.stamp.startswith(f"{self.package.code}/"):
            raise ValueError("build.stamp must lie below package.code: a patch writes it anew")
        return self

    @model_validator(mode="after")
    def _a_package_is_of_a_function(self) -> "Manifest":
        if self.package and not self.stack.function:
            raise ValueError("[package] needs stack.function: what is patched?")
        return self

    @model_validator(mode="after")
    def _a_configuration_is_there_to_be_in_use(self) -> "Manifest":
        if self.tests.config and not self.config:
            raise ValueError("tests.config needs [config]: which configuration is in use?")
        return self

    @model_validator(mode="after")
    def _authentication_has_a_pool(self) -> "Manifest":
        if self.tests.protected and not self.admin:
            raise ValueError("tests.protected needs [admin]: the pool that signs its users in")
        return self


def parse(text: str) -> Manifest:
    """The manifest that `text` (TOML) describes.

    Raises InvalidRequest that names every wrong key.
    """
    try:
        table = parsing.toml_table(text)
    except ValueError as error:
        raise InvalidRequest.of(FILE_NAME, str(error)) from error
    _check_characters(table)
    try:
        return Manifest.model_validate(table)
    except ValidationError as error:
        details = [
            {"field": ".".join(str(part) for part in item["loc"]), "reason": item["msg"]}
            for item in error.errors()
        ]
        told = "; ".join(f"{item['field']}: {item['reason']}" for item in details)
        raise InvalidRequest(f"{FILE_NAME}: {told}", details) from error


def _check_characters(value: object, path: tuple[str, ...] = ()) -> None:
    """Raise InvalidRequest for a text with a control character: a NUL ends a command, a variable or
    a path early, wherever it is used."""
    match value:
        case dict():
            for key, below in value.items():
                _check_characters(key, (*path, repr(key)))
                _check_characters(below, (*path, key))
        case list():
            for number, item in enumerate(value):
                _check_characters(item, (*path, str(number)))
        case str() if parsing.has_control_character(value.replace("\t", "")):
            raise InvalidRequest.of(".".join(path), "holds a control character: remove it")
