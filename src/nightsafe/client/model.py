"""The API's answers as typed values. None of the types can hold a secret's value."""

import datetime as dt
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct, field

T = TypeVar("T")

KeyFormat: TypeAlias = Literal["raw", "pkcs8", "spki", "jwk"]
Usage: TypeAlias = Literal["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"]


class SecretText(Struct, frozen=True, tag_field="type", tag="secret_text"):
    """A secret string that is bound to a script."""

    name: str
    """Its name in `env`."""

    type: ClassVar[Literal["secret_text"]] = "secret_text"
    """The kind of binding."""

    def __repr__(self) -> str:
        """Show the same text as the official SDK, so that the output of programs stays the same."""
        return f"WorkersBindingKindSecretText(name={self.name!r}, type={self.type!r})"


class SecretKey(Struct, frozen=True, tag_field="type", tag="secret_key"):
    """A secret cryptographic key that is bound to a script, without the key."""

    algorithm: Any
    """The algorithm, as `crypto.subtle.importKey` takes it: an object or a bare name."""

    format: KeyFormat
    """The format in which the key was set."""

    name: str
    """Its name in `env`."""

    usages: tuple[Usage, ...]
    """The operations that the script may do with the key."""

    type: ClassVar[Literal["secret_key"]] = "secret_key"
    """The kind of binding."""

    def __repr__(self) -> str:
        """Show the same text as the official SDK, so that the output of programs stays the same."""
        description = f"algorithm={self.algorithm!r}, format={self.format!r}, name={self.name!r}, type={self.type!r}"
        return f"WorkersBindingKindSecretKey({description}, usages={list(self.usages)!r})"


Secret: TypeAlias = SecretText | SecretKey
"""A secret of either kind. `type` or `isinstance` tells which."""


class ResultInfo(Struct, frozen=True):
    """The position of a page in its list."""

    page: int | None = None
    """The number of the page, from 1."""
    per_page: int | None = None
    """The most items on a page."""
    count: int | None = None
    """The number of items on this page."""
    total_count: int | None = None
    """The number of items on all pages."""
    total_pages: int | None = None
    """The number of pages."""


class Items(Struct, Generic[T], frozen=True):
    """The items of a page, for lists that the API wraps in an object."""

    items: list[T]
    """The items."""


class Account(Struct, frozen=True):
    """An account."""

    id: str
    """32 hex digits."""
    name: str = ""
    """The name."""
    type: str | None = None
    """`standard` or `enterprise`."""
    settings: dict[str, Any] | None = None
    """The account's settings."""
    created_on: str | None = None
    """The time of its creation (RFC 3339)."""


class User(Struct, frozen=True):
    """The user that the credentials belong to."""

    id: str
    """32 hex digits."""
    email: str | None = None
    """The e-mail of the login."""


class TokenStatus(Struct, frozen=True):
    """The status of a token."""

    id: str
    """The token's id."""
    status: str
    """`active`, `disabled` or `expired`."""
    expires_on: dt.datetime | None = None
    """The time from which the token does not work."""
    not_before: dt.datetime | None = None
    """The time before which the token does not work."""


class Script(Struct, frozen=True):
    """A Worker."""

    id: str = ""
    """Its name."""
    tag: str | None = None
    """An id that does not change when the script is renamed."""
    etag: str | None = None
    """Identifies its code."""
    tags: list[str] | None = None
    """Its tags."""
    created_on: dt.datetime | None = None
    """The time of the first upload."""
    modified_on: dt.datetime | None = None
    """The time of the last change."""
    compatibility_date: str | None = None
    """The date that selects the behaviour of the runtime."""
    compatibility_flags: list[str] | None = None
    """The features of the runtime that it switches on or off."""
    handlers: list[str] | None = None
    """The events that it handles, such as `fetch`."""
    has_assets: bool | None = None
    """Whether it has static files."""
    has_modules: bool | None = None
    """Whether it consists of modules."""
    last_deployed_from: str | None = None
    """The kind of client that deployed it."""
    logpush: bool | None = None
    """Whether its logs are pushed."""
    observability: dict[str, Any] | None = None
    """The settings of observability."""
    placement: dict[str, Any] | None = None
    """The settings of placement."""
    tail_consumers: list[dict[str, Any]] | None = None
    """The Workers that receive its logs."""
    usage_model: str | None = None
    """The usage model."""
    startup_time_ms: int | None = None
    """Its startup time in milliseconds; only in the answer to an upload."""
    deployment_id: str | None = None
    """The id of the version that an upload made, without dashes; only in the answer to an upload."""
    entry_point: str | None = None
    """The main module; only in the answer to an upload."""


class VersionMetadata(Struct, frozen=True, rename={"has_preview": "hasPreview"}):
    """The author, time and source of a version."""

    author_email: str | None = None
    """The e-mail of the author."""
    author_id: str | None = None
    """The id of the author."""
    created_on: str | None = None
    """The time of its creation (RFC 3339)."""
    modified_on: str | None = None
    """The time of the last change (RFC 3339)."""
    has_preview: bool | None = None
    """Whether it has a preview URL."""
    source: str | None = None
    """The kind of client that made it."""


class VersionResources(Struct, frozen=True):
    """The parts of a version."""

    bindings: list[dict[str, Any]] | None = None
    """Its bindings, without the values of secrets."""
    script: dict[str, Any] | None = None
    """Its code: `etag`, `handlers` and so on."""
    script_runtime: dict[str, Any] | None = None
    """Its settings for the runtime: compatibility date, flags, limits."""


class Version(Struct, frozen=True):
    """One version of a script."""

    id: str = ""
    """A UUID."""
    number: int | float | None = None  # without `int`, 3 would become 3.0 in JSON
    """The number of the version, from 1."""
    metadata: VersionMetadata | None = None
    """Its author, time and source."""
    annotations: dict[str, Any] | None = None
    """Notes, such as `workers/message`."""
    resources: VersionResources | None = None
    """Its parts; lists leave them out."""
    startup_time_ms: int | None = None
    """Its startup time in milliseconds; only in the answer to an upload."""


class DeployedVersion(Struct, frozen=True):
    """A version's share of the traffic."""

    percentage: float
    """The share in percent."""
    version_id: str
    """The version's UUID."""


class Deployment(Struct, frozen=True):
    """The served versions, and the share of the traffic of each."""

    id: str
    """A UUID."""
    created_on: dt.datetime | None = None
    """The time of its creation."""
    source: str = ""
    """The kind of client that made it."""
    strategy: str = "percentage"
    """Always `percentage`."""
    versions: list[DeployedVersion] = field(default_factory=list)
    """One version, or two that share the traffic."""
    annotations: dict[str, Any] | None = None
    """Notes, such as `workers/message`."""
    author_email: str | None = None
    """The e-mail of the author."""
