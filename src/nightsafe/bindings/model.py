"""The classes of binding, and the parts of each that reads may show.

Source: `bindings` of the script upload in the Cloudflare v4 API's specification.
"""

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from nightsafe.bindings.client_sealed import SealedByClient
from nightsafe.bindings.metadata import KEY_METADATA, canonical_metadata
from nightsafe.secret_value import SecretValue

SECRET_KINDS = frozenset({"secret_text", "secret_key"})
"""The binding types whose value clients can write but never read back."""


class SecretText(Struct, frozen=True):
    """A secret string."""

    kind: ClassVar[str] = "secret_text"

    name: str
    value: SecretValue | SealedByClient

    def public_json(self) -> bytes:
        """Return the JSON object that reads return; it does not contain the value."""
        return msgspec.json.encode({"name": self.name, "type": self.kind})

    def public_metadata(self) -> bytes:
        """Return b"": a secret string has no public metadata for the seal to be bound to."""
        return b""


class SecretKey(Struct, frozen=True):
    """A secret cryptographic key, in the form that `crypto.subtle.importKey` accepts.

    Attributes:
        name: the binding's name.
        algorithm: an object or, as the runtime allows, only the algorithm's name.
        format: `raw`, `pkcs8`, `spki` or `jwk`.
        usages: in the order in which the client gave them.
        value: the decoded bytes, or the JSON text for `jwk`; or the value that the client sealed.
    """

    kind: ClassVar[str] = "secret_key"

    name: str
    algorithm: Any
    format: str
    usages: tuple[str, ...]
    value: SecretValue | SealedByClient

    def public_json(self) -> bytes:
        """Return the JSON object that reads return; it does not contain the key."""
        return msgspec.json.encode({"name": self.name, "type": self.kind, **self._metadata()})

    def public_metadata(self) -> bytes:
        """Return the public metadata that the seal is bound to, as canonical JSON (RFC 8785)."""
        return canonical_metadata(self._metadata())

    def _metadata(self) -> dict[str, Any]:
        """Return the members that describe the key without containing it."""
        return {member: getattr(self, member) for member in KEY_METADATA}


class PlainBinding(Struct, frozen=True):
    """A binding that holds no secret; Nightsafe keeps it and returns it unchanged."""

    name: str
    kind: str
    fields: dict[str, Any]

    def public_json(self) -> bytes:
        """Return the whole binding as JSON."""
        return msgspec.json.encode(self.fields)


class InheritedBinding(Struct, frozen=True):
    """A binding to take over from the previous version, where its name is `old_name`."""

    name: str
    old_name: str


Secret = SecretText | SecretKey
AnyBinding = SecretText | SecretKey | PlainBinding | InheritedBinding
