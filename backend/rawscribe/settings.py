"""What can be configured, and the defaults: the lowest tier of the configuration.

JSON names are camelCase. Unknown keys are kept out rather than refused: the configuration of a
tenant may be newer than the code that is being rolled back.
"""

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Cognito(_Section):
    """The user pool whose tokens are accepted."""

    region: str = ""
    user_pool_id: str = ""
    client_id: str = ""

    @property
    def issuer(self) -> str:
        """The `iss` of every token of this pool."""
        return f"https://cognito-idp.{self.region}.amazonaws.com/{self.user_pool_id}"


class Auth(_Section):
    """Who may come in. On unless somebody says otherwise."""

    enabled: bool = True
    cognito: Cognito = Cognito()


class Store(_Section):
    """A bucket, and where in it."""

    bucket: str = ""
    prefix: str = Field(default="", pattern=r"^([A-Za-z0-9_-]+/)*$")


class Storage(_Section):
    """Where documents are."""

    forms: Store = Store(prefix="sops/")
    drafts: Store = Store(prefix="drafts/")
    elns: Store = Store(prefix="elns/")


class Limits(_Section):
    """What a request may ask for. `document_bytes` also bounds the body (Lambda: 6 MiB)."""

    document_bytes: int = Field(default=262_144, ge=1_024, le=4_194_304)
    page_size: int = Field(default=100, ge=1, le=1_000)


class Api(_Section):
    """How the API is reached from outside."""

    endpoint: str = ""
    allowed_origin: str = ""


class Settings(_Section):
    """The effective configuration of this tenant."""

    environment: str = "local"
    organization: str = "local"
    auth: Auth = Auth()
    storage: Storage = Storage()
    limits: Limits = Limits()
    api: Api = Api()
    frontend: dict[str, JsonValue] = Field(default_factory=dict)
