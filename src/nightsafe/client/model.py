"""What the API answers, as typed values. Nothing here can hold a secret's value."""

import datetime as dt
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct, field

T = TypeVar("T")

KeyFormat: TypeAlias = Literal["raw", "pkcs8", "spki", "jwk"]
Usage: TypeAlias = Literal["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"]


class SecretText(Struct, frozen=True, tag_field="type", tag="secret_text"):
    """A secret string that is bound to a script."""

    name: str
    """What the script finds it under in `env`."""

    type: ClassVar[Literal["secret_text"]] = "secret_text"
    """The kind of binding."""

    def __repr__(self) -> str:
        """As the official SDK shows it, so that what a program prints stays the same."""
        return f"WorkersBindingKindSecretText(name={self.name!r}, type={self.type!r})"


class SecretKey(Struct, frozen=True, tag_field="type", tag="secret_key"):
    """A secret cryptographic key that is bound to a script, without the key."""

    algorithm: Any
    """The algorithm, as `crypto.subtle.importKey` takes it: an object or a bare name."""

    format: KeyFormat
    """The format it was given in."""

    name: str
    """What the script finds it under in `env`."""

    usages: tuple[Usage, ...]
    """What the script may do with it."""

    type: ClassVar[Literal["secret_key"]] = "secret_key"
    """The kind of binding."""

    def __repr__(self) -> str:
        """As the official SDK shows it, so that what a program prints stays the same."""
        shown = f"algorithm={self.algorithm!r}, format={self.format!r}, name={self.name!r}, type={self.type!r}"
        return f"WorkersBindingKindSecretKey({shown}, usages={list(self.usages)!r})"


Secret: TypeAlias = SecretText | SecretKey
"""Either kind, told apart by `type` or `isinstance`."""


class ResultInfo(Struct, frozen=True):
    """Where a page stands among its like."""

    page: int | None = None
    """Its number, from 1."""
    per_page: int | None = None
    """How many items a page has at most."""
    count: int | None = None
    """How many items it has."""
    total_count: int | None = None
    """How many items there are on all pages."""
    total_pages: int | None = None
    """How many pages there are."""


class Items(Struct, Generic[T], frozen=True):
    """The items of a page, where the API wraps them."""

    items: list[T]
    """The items."""


class Account(Struct, frozen=True):
    """An account."""

    id: str
    """32 hex digits."""
    name: str = ""
    """What people call it."""
    type: str | None = None
    """`standard` or `enterprise`."""
    settings: dict[str, Any] | None = None
    """The account's settings."""
    created_on: str | None = None
    """When it was made (RFC 3339)."""


class User(Struct, frozen=True):
    """The user whom the credentials belong to."""

    id: str
    """32 hex digits."""
    email: str | None = None
    """The e-mail to log in with."""


class TokenStatus(Struct, frozen=True):
    """Whether a token works."""

    id: str
    """The token's id."""
    status: str
    """`active`, `disabled` or `expired`."""
    expires_on: dt.datetime | None = None
    """From when on it does not work."""
    not_before: dt.datetime | None = None
    """Until when it does not work."""


class Script(Struct, frozen=True):
    """A Worker."""

    id: str = ""
    """Its name."""
    tag: str | None = None
    """An id that stays when it is renamed."""
    etag: str | None = None
    """Tells its code from other code."""
    tags: list[str] | None = None
    """Words it was filed under."""
    created_on: dt.datetime | None = None
    """When it was first uploaded."""
    modified_on: dt.datetime | None = None
    """When it was last changed."""
    compatibility_date: str | None = None
    """Which behaviour of the runtime it wants."""
    compatibility_flags: list[str] | None = None
    """What of the runtime it switches on or off."""
    handlers: list[str] | None = None
    """What it handles, such as `fetch`."""
    has_assets: bool | None = None
    """Whether it has static files."""
    has_modules: bool | None = None
    """Whether it is made of modules."""
    last_deployed_from: str | None = None
    """The kind of client that deployed it."""
    logpush: bool | None = None
    """Whether its logs are pushed."""
    observability: dict[str, Any] | None = None
    """How it is observed."""
    placement: dict[str, Any] | None = None
    """Where it runs."""
    tail_consumers: list[dict[str, Any]] | None = None
    """The Workers that read its logs."""
    usage_model: str | None = None
    """How its use is counted."""
    startup_time_ms: int | None = None
    """Milliseconds to start; only an upload tells."""
    deployment_id: str | None = None
    """The version that an upload made, without dashes; only an upload tells."""
    entry_point: str | None = None
    """The module it starts with; only an upload tells."""


class VersionMetadata(Struct, frozen=True, rename={"has_preview": "hasPreview"}):
    """Who made a version, when, and how."""

    author_email: str | None = None
    """The e-mail of who made it."""
    author_id: str | None = None
    """The id of who made it."""
    created_on: str | None = None
    """When it was made (RFC 3339)."""
    modified_on: str | None = None
    """When it was last changed (RFC 3339)."""
    has_preview: bool | None = None
    """Whether it can be looked at under an address of its own."""
    source: str | None = None
    """The kind of client that made it."""


class VersionResources(Struct, frozen=True):
    """What a version consists of."""

    bindings: list[dict[str, Any]] | None = None
    """Its bindings, without the values of secrets."""
    script: dict[str, Any] | None = None
    """Its code: `etag`, `handlers` and so on."""
    script_runtime: dict[str, Any] | None = None
    """What it asks of the runtime: compatibility date, flags, limits."""


class Version(Struct, frozen=True):
    """One version of a script."""

    id: str = ""
    """A UUID."""
    number: float | None = None
    """Counts from 1."""
    metadata: VersionMetadata | None = None
    """Who made it, when, and how."""
    annotations: dict[str, Any] | None = None
    """Notes, such as `workers/message`."""
    resources: VersionResources | None = None
    """What it consists of; lists leave it out."""
    startup_time_ms: int | None = None
    """Milliseconds to start; only an upload tells."""


class DeployedVersion(Struct, frozen=True):
    """A version's part of the traffic."""

    percentage: float
    """Of 100."""
    version_id: str
    """The version's UUID."""


class Deployment(Struct, frozen=True):
    """Which versions are served, and how much of each."""

    id: str
    """A UUID."""
    created_on: dt.datetime | None = None
    """When it was made."""
    source: str = ""
    """The kind of client that made it."""
    strategy: str = "percentage"
    """Always `percentage`."""
    versions: list[DeployedVersion] = field(default_factory=list)
    """One version, or two that share the traffic."""
    annotations: dict[str, Any] | None = None
    """Notes, such as `workers/message`."""
    author_email: str | None = None
    """The e-mail of who made it."""
