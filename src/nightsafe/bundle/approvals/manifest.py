"""A version's manifest: everything that decides what its code does, in the form that an approver signs.

The API sends manifests to approvers. The delivery process makes them of the bundles that it gets. Both compute the
digests again from the parts, so neither has to trust the API: `docs/sealed-format.md`, "Approvals".
"""

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256

import msgspec
from msgspec import Struct

from nightsafe.bundle.statements import code_digest
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode

_BINDING = b"nightsafe approved binding v1"
_CODE = b"nightsafe approved code v1"
_VALUE = b"nightsafe approved value v1"
_VALUES = b"nightsafe approved values v1"


class Covers(StrEnum):
    """The parts of a version that an approval must cover before the delivery process serves it."""

    CODE = "code"
    VALUES = "values"
    NOTHING = "nothing"


class ManifestModule(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a version, with the SHA-256 of its contents."""

    name: str
    content_type: str
    digest: bytes


class ManifestBinding(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One binding of a version.

    Attributes:
        name: its name.
        kind: its type.
        shown: the JSON object that reads return, as text.
        store_id: for a secret of a Secrets Store, the store whose value the script gets.
        sealed_name: for a secret of a Secrets Store, the name that its value was sealed to. It differs from the name
            in `shown` after the secret was renamed.
        value: SHA-256 of the sealed value; b"" for a binding without one.
    """

    name: str
    kind: str
    shown: str
    store_id: str = ""
    sealed_name: str = ""
    value: bytes = b""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parts of a version that an approver sees and signs.

    Attributes:
        account_id, namespace, script, script_id: the script, as in `ScriptIdentity`.
        version: the version's UUID; not signed, because a version with the same parts needs no other approval.
        number: the version's number; not signed.
        main_module: the name of the main module.
        modules: every file.
        settings: the JSON object of its settings, as text.
        bindings: every binding.
    """

    account_id: str
    namespace: str
    script: str
    script_id: str
    version: str
    number: int
    main_module: str
    modules: tuple[ManifestModule, ...]
    settings: str
    bindings: tuple[ManifestBinding, ...]

    def code_digest(self) -> bytes:
        """Return the digest of the script, its code, its settings and its bindings, without the values."""
        modules = ((module.name, module.content_type, module.digest) for module in self.modules)
        etag = code_digest(self.main_module, modules)
        script = (self.account_id, self.namespace, self.script, self.script_id)
        bindings = _joined(
            sha256(encode(_BINDING, *_texts(one.name, one.kind, one.shown, one.store_id, one.sealed_name))).digest()
            for one in self.bindings
        )
        return sha256(encode(_CODE, *_texts(*script, etag, self.settings), bindings)).digest()

    def values_digest(self) -> bytes:
        """Return the digest of the same parts together with the sealed values."""
        values = _joined(sha256(encode(_VALUE, one.name.encode(), one.value)).digest() for one in self.bindings)
        return sha256(encode(_VALUES, self.code_digest(), values)).digest()


def parse_manifest(answer: object) -> Manifest:
    """Return the manifest in decoded JSON from a server.

    Raises:
        NightsafeError: INVALID, when it is not a manifest whose settings and bindings are JSON objects.
    """
    try:
        manifest = msgspec.convert(answer, Manifest)
        for text in (manifest.settings, *(binding.shown for binding in manifest.bindings)):
            msgspec.json.decode(text, type=dict[str, object])
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise NightsafeError(
            Code.INVALID, "the server sent no manifest that this program understands: nothing was approved"
        ) from None
    return manifest


def _texts(*texts: str) -> tuple[bytes, ...]:
    """Return texts in UTF-8."""
    return tuple(text.encode() for text in texts)


def _joined(digests: Iterable[bytes]) -> bytes:
    """Join digests in an order of their own, so that the order of bindings does not count."""
    return b"".join(sorted(digests))
