"""The kinds of binding, and what of each may be shown.

Source: `bindings` of the script upload in the Cloudflare v4 API's specification.
"""

from typing import Any, ClassVar

import msgspec
import rfc8785
from msgspec import Struct

from nightsafe.bindings.client_sealed import SealedByClient
from nightsafe.secret_value import SecretValue

SECRET_KINDS = frozenset({"secret_text", "secret_key"})
"""The kinds whose value goes in and does not come out."""


class SecretText(Struct, frozen=True):
    """A secret string."""

    kind: ClassVar[str] = "secret_text"

    name: str
    value: SecretValue | SealedByClient

    def shown(self) -> bytes:
        """The JSON object that reads give back: no value in it."""
        return msgspec.json.encode({"name": self.name, "type": self.kind})

    def public(self) -> bytes:
        """The public metadata that the seal is bound to: none."""
        return b""


class SecretKey(Struct, frozen=True):
    """A secret cryptographic key, as `crypto.subtle.importKey` takes it.

    Attributes:
        name: the binding's name.
        algorithm: an object or, as the runtime allows, a bare name.
        format: `raw`, `pkcs8`, `spki` or `jwk`.
        usages: in the order they were given.
        value: the decoded bytes, or for `jwk` its JSON text; or what the client sealed of it.
    """

    kind: ClassVar[str] = "secret_key"

    name: str
    algorithm: Any
    format: str
    usages: tuple[str, ...]
    value: SecretValue | SealedByClient

    def shown(self) -> bytes:
        """The JSON object that reads give back: the key itself is not in it."""
        return msgspec.json.encode({"name": self.name, "type": self.kind, **self._metadata()})

    def public(self) -> bytes:
        """The public metadata that the seal is bound to, as canonical JSON (RFC 8785)."""
        return rfc8785.dumps(self._metadata())

    def _metadata(self) -> dict[str, Any]:
        """What describes the key without being it."""
        return {"format": self.format, "algorithm": self.algorithm, "usages": self.usages}


class PlainBinding(Struct, frozen=True):
    """A binding that holds no secret; it is kept and given back as it came."""

    name: str
    kind: str
    fields: dict[str, Any]

    def shown(self) -> bytes:
        """The whole binding."""
        return msgspec.json.encode(self.fields)


class InheritedBinding(Struct, frozen=True):
    """A binding to take over from the version before, there called `old_name`."""

    name: str
    old_name: str


Secret = SecretText | SecretKey
AnyBinding = SecretText | SecretKey | PlainBinding | InheritedBinding
