"""Scripts and their bindings, versions and deployments, as values.

Times are whole microseconds since 1970-01-01 UTC. Identifiers of versions, deployments and audit entries are the 16
bytes of a UUID. Identifiers of accounts, users, tokens and scripts are 32 lower-case hex digits.
"""

from msgspec import Struct


class ScriptRef(Struct, frozen=True):
    """A reference to a script: its account, its dispatch namespace ("" for none) and its name."""

    account_id: str
    name: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """The script's name in policies and messages: `name`, or `namespace/name` in a dispatch namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name


class Binding(Struct, frozen=True):
    """One binding of a script as it is stored.

    Attributes:
        name: the binding's name, unique in its script.
        kind: the binding's `type`: `secret_text`, `secret_key`, `plain_text` and so on.
        shown: the JSON object that reads return. It contains no secret value.
        sealed: the sealed value, or a signed record of the first form; None for a binding that is not a secret.
        key_id: the id of the recipient key that the value is sealed to; None without a value.
        digest: with a value that is written, `Context.record_digest` of it; reads leave it empty.
    """

    name: str
    kind: str
    shown: bytes
    sealed: bytes | None = None
    key_id: str | None = None
    digest: bytes = b""


class Module(Struct, frozen=True):
    """One file of a script. The store keeps one body for each `digest` (SHA-256) in an account."""

    name: str
    content_type: str
    digest: bytes
    body: bytes


class Upload(Struct, frozen=True, kw_only=True):
    """New code of a script.

    Attributes:
        script_id: the tag that the script gets if this upload creates it.
        main_module: the name of the module that the runtime starts, or of the body part of a classic script.
        modules: every file, in the order of the upload.
        create: whether the upload may create an absent script; otherwise the script must exist.
    """

    script_id: str
    main_module: str
    modules: tuple[Module, ...]
    create: bool = True


class Script(Struct, frozen=True, kw_only=True):
    """A script as lists show it.

    Attributes:
        ref: the script's account, namespace and name.
        id: its tag, 32 hex digits, which never changes.
        created_on: the time of its creation.
        modified_on: the time when a change last altered it.
        version: the number of its newest version; versions are numbered from 1 without gaps.
        live_version: the number of the only served version, or 0 when several are served.
        etag, main_module, settings: the newest version's.
        script_settings, triggers: as in `ScriptEdit`.
        source: the source of the newest upload, as in `Stamp`; a secret put by another client does not change it.
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
    """One version of a script, with its settings and its code, which `etag` identifies."""

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
    """Versions that are served together, with their percentages.

    Attributes:
        id: the deployment's UUID, 16 bytes.
        created_on: the time of its creation.
        source, author_id, author_email, annotations: as in `Stamp`.
        triggered_by: as in `Stamp` for a version that was deployed when it was made. Otherwise `rollback` when every
            version in the deployment is older than the newest version served before it, or else `deployment`.
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


class Period(Struct, frozen=True):
    """The first and the last included time, in microseconds."""

    since: int = 0
    until: int = 2**63 - 1


ALWAYS = Period()
"""The unbounded period."""
