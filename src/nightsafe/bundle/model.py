"""A bundle: everything that the delivery side needs to serve one script, but the contents of its modules.

Contents are named by their SHA-256 and fetched by it, so that a new secret value costs no transfer of code.
"""

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

FORMAT: Final = "nightsafe-bundle/1"


class BundleModule(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a version.

    Attributes:
        name: as the upload called it.
        content_type: as the upload had it.
        digest: SHA-256 of the contents.
    """

    name: str
    content_type: str
    digest: bytes


class StoredSecret(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret of a Secrets Store: signed for its name, sealed to what stands for the name in its seal.

    Attributes:
        store_id: id of the store.
        name: its name there.
        sealed_name: in place of the name, what it is sealed to.
        sealed: the signed, sealed record.
    """

    store_id: str
    name: str
    sealed_name: str
    sealed: bytes


class BundleBinding(Struct, frozen=True, forbid_unknown_fields=True):
    """One binding of a version, as the store has it.

    Attributes:
        name: unique in its version.
        kind: the wire's `type`.
        shown: the JSON object that reads give back; no secret value in it.
        sealed: the signed, sealed record; None for a binding that is no secret.
        stored: the secret of a Secrets Store that it leads to; None for other kinds, and when there is none.
    """

    name: str
    kind: str
    shown: msgspec.Raw
    sealed: bytes | None = None
    stored: StoredSecret | None = None


class BundleVersion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version that is served.

    Attributes:
        id: its UUID as text.
        percentage: of the requests, from 0 to 100. One of 0 is served to whoever asks for it by its id.
        created_on: when it was made, in RFC 3339.
        tag: its `workers/tag` annotation, or "".
        main_module: name of the module that starts; of a classic script, its only script part.
        classic: whether it is a classic (service worker) script.
        compatibility_date: as YYYY-MM-DD, or "".
        compatibility_flags: as uploaded.
        cpu_ms: milliseconds of CPU time that a request may use; None for what every script may.
        modules: every file.
        bindings: every binding, by name.
    """

    id: str
    percentage: float
    created_on: str
    tag: str = ""
    main_module: str
    classic: bool = False
    compatibility_date: str = ""
    compatibility_flags: tuple[str, ...] = ()
    cpu_ms: int | None = None
    modules: tuple[BundleModule, ...]
    bindings: tuple[BundleBinding, ...] = ()

    def fingerprint(self) -> bytes:
        """SHA-256 over all that its isolate is made of: when it stays the same, so may the isolate."""
        return sha256(msgspec.json.encode(msgspec.structs.replace(self, percentage=0.0))).digest()


class Bundle(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="format",
    tag=FORMAT,
):
    """One script as it is to be served.

    What says nothing is left out. So a delivery process that does not know a newer member reads every bundle but one
    that says something by it, and refuses that one: it then serves on what it had, never what was not meant.

    Attributes:
        account_id: whose script it is.
        namespace: its dispatch namespace, or "".
        script: its name.
        serial: number of the account's latest audit entry when the bundle was made. It only grows.
        versions: what is served; none when the script is not there any more or was never deployed.
        inner: whether it is reached by other scripts' bindings only, and not from outside.
        behind: why the newest deployment is not what is served but the last one before it that can be: a sentence for
            each binding, module or flag; none when it is.
    """

    account_id: str
    namespace: str = ""
    script: str
    serial: int
    versions: tuple[BundleVersion, ...] = ()
    inner: bool = False
    behind: tuple[str, ...] = ()
