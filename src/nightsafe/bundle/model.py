"""A bundle: everything that a delivery process needs to serve one script, except the contents of its modules.

A bundle names the contents by their SHA-256, and delivery processes fetch them by it. So a new secret value costs no
transfer of code.
"""

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.bundle.approvals.approval import Approval

FORMAT: Final = "nightsafe-bundle/2"


class BundleModule(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a version.

    Attributes:
        name: its name in the upload.
        content_type: its content type in the upload.
        digest: SHA-256 of the contents.
    """

    name: str
    content_type: str
    digest: bytes


class StoredSecret(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret of a Secrets Store. Its statement covers its name; its seal covers `sealed_name` instead.

    Attributes:
        store_id: id of the store.
        name: its name there.
        sealed_name: the string that it is sealed to in place of the name.
        record: the stored record.
    """

    store_id: str
    name: str
    sealed_name: str
    record: bytes


class BundleBinding(Struct, frozen=True, forbid_unknown_fields=True):
    """One binding of a version, as stored.

    Attributes:
        name: unique in its version.
        kind: the `type` field of the API.
        shown: the JSON object that reads return, without any secret value.
        record: the stored record; None for a binding that is not secret.
        stored: the secret of a Secrets Store that it refers to; None for other kinds, and when no such secret exists.
        since: the number of the version that put it.
    """

    name: str
    kind: str
    shown: msgspec.Raw
    record: bytes | None = None
    stored: StoredSecret | None = None
    since: int = 0


class BundleVersion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version that is served.

    Attributes:
        id: its UUID as text.
        percentage: its share of the requests, from 0 to 100. A version with 0 is served only to requests for its id.
        created_on: when it was made, in RFC 3339.
        tag: its `workers/tag` annotation, or "".
        main_module: name of the entry module; for a classic script, its only script part.
        classic: whether it is a classic (service worker) script.
        compatibility_date: as YYYY-MM-DD, or "".
        compatibility_flags: as uploaded.
        cpu_ms: milliseconds of CPU time that a request may use; None for the default of every script.
        modules: every file.
        bindings: every binding, by name.
        number: its number among the script's versions.
        made_at: when it was made, in microseconds since 1970 UTC.
        settings: the JSON object of its settings, from which the fields above come.
        annotations: the JSON object of its annotations, which has the tag.
        proof: the packed proof of its statement.
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
    number: int = 0
    made_at: int = 0
    settings: msgspec.Raw = msgspec.Raw(b"{}")
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    proof: bytes = b""

    def fingerprint(self) -> bytes:
        """Return the SHA-256 of everything that its isolate is made of; while it is equal, the isolate may stay.

        Its proof is no part of that: the same version may be proven in another way.
        """
        return sha256(msgspec.json.encode(msgspec.structs.replace(self, percentage=0.0, proof=b""))).digest()


class BundleDeployment(Struct, frozen=True, forbid_unknown_fields=True):
    """The deployment whose versions are served.

    Attributes:
        id: its UUID, 16 bytes.
        newest, place: its order among the script's deployments, as in `deployment_digest`.
        proof: the packed proof of its statement.
    """

    id: bytes
    newest: int
    place: int
    proof: bytes


class Bundle(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="format",
    tag=FORMAT,
):
    """One script with the versions to serve.

    The JSON leaves out members that have their default value. So a delivery process that does not know a newer member
    can read every bundle that does not use it. It refuses a bundle that does, and goes on serving the version that it
    has; it never serves anything else than was meant.

    Attributes:
        account_id: the account that the script belongs to.
        namespace: its dispatch namespace, or "".
        script: its name.
        serial: number of the account's latest audit entry when the bundle was made. It only grows.
        versions: the versions to serve; empty when the script was deleted or never deployed.
        inner: whether only the bindings of other scripts can reach it, and requests from outside cannot.
        script_id: its tag; "" when it was deleted or never deployed.
        deployment: the deployment; None without versions.
        triggers: the JSON object of the script's triggers, which decides `inner`.
        triggers_proof: the packed proof of their statement; b"" if they are older than the log.
        behind: why an older deployment is served, the last one that can be, instead of the newest: a sentence for
            each binding, module or flag. Empty when the newest deployment is served.
        waiting: UUIDs of the newest deployment's versions that wait for an approval, for a delivery process that asks
            for approved versions. The bundle then has the last deployment whose versions are approved, if any.
        approvals: approvals of the versions, for such a process, which checks them.
    """

    account_id: str
    namespace: str = ""
    script: str
    serial: int
    versions: tuple[BundleVersion, ...] = ()
    inner: bool = False
    script_id: str = ""
    deployment: BundleDeployment | None = None
    triggers: msgspec.Raw = msgspec.Raw(b"{}")
    triggers_proof: bytes = b""
    behind: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
