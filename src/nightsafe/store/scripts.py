"""What the store keeps of scripts, as values.

Times are whole microseconds since 1970-01-01 UTC. Identifiers of versions, deployments and audit
entries are the 16 bytes of a UUID; those of accounts, users, tokens and scripts are 32 lower-case hex digits.
"""

from msgspec import Struct


class ScriptRef(Struct, frozen=True):
    """Where a script is: its account, its dispatch namespace ("" for none) and its name."""

    account_id: str
    name: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """What policies and messages call it: `name`, or `namespace/name` in a dispatch namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name


class Binding(Struct, frozen=True):
    """One binding of a script as it is stored.

    Attributes:
        name: the binding's name, unique in its script.
        kind: the wire's `type`: `secret_text`, `secret_key`, `plain_text` and so on.
        shown: the JSON object that reads give back. Holds no secret value.
        sealed: the signed, sealed record; None for a binding that is no secret.
        key_id: which recipient key the record is sealed to; None when there is none.
    """

    name: str
    kind: str
    shown: bytes
    sealed: bytes | None = None
    key_id: str | None = None


class Module(Struct, frozen=True):
    """One file of a script. Bodies are kept once for each `digest` (SHA-256) in an account."""

    name: str
    content_type: str
    digest: bytes
    body: bytes


class Upload(Struct, frozen=True, kw_only=True):
    """New code of a script.

    Attributes:
        script_id: the tag a script gets if this upload creates it.
        main_module: name of the module that the runtime starts, or of the body part of a classic script.
        modules: every file, in the order it came.
        create: whether a script that is absent is created; otherwise it must be there.
    """

    script_id: str
    main_module: str
    modules: tuple[Module, ...]
    create: bool = True


class Script(Struct, frozen=True, kw_only=True):
    """A script as lists show it.

    Attributes:
        ref: where it is.
        id: its tag, 32 hex digits, which it keeps for life.
        created_on: when it was made.
        modified_on: when a change last altered it.
        version: number of its newest version; they count from 1 without a gap.
        live_version: number of the version that is served alone, 0 when several are.
        etag, main_module, settings: of the newest version.
        script_settings, triggers: as in `ScriptEdit`.
        source: as in `Stamp`, of the newest upload: a secret put by other means does not change who deploys it.
    """

    ref: ScriptRef
    id: str
    created_on: int
    modified_on: int
    version: int
    live_version: int
    etag: str
    main_module: str
    settings: bytes
    script_settings: bytes
    triggers: bytes
    source: str


class Version(Struct, frozen=True, kw_only=True):
    """One version of a script, with the settings and the code it runs; `etag` tells the code."""

    number: int
    id: bytes
    created_on: int
    source: str
    triggered_by: str
    author_id: str
    author_email: str
    annotations: bytes
    main_module: str
    etag: str
    settings: bytes


class Deployment(Struct, frozen=True, kw_only=True):
    """What is served: versions with their percentages.

    Attributes:
        id: its UUID, 16 bytes.
        created_on: when it was made.
        source, author_id, author_email, annotations: as in `Stamp`.
        triggered_by: as in `Stamp` for a version deployed when it was made; else `rollback` when every version
            in it is older than the newest served before, or `deployment`.
        versions: UUIDs of versions with their percentages.
    """

    id: bytes
    created_on: int
    source: str
    triggered_by: str
    author_id: str
    author_email: str
    annotations: bytes
    versions: tuple[tuple[bytes, float], ...]
