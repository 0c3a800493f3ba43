"""What the store keeps, as values, and the one `Change` that alters it.

Times are whole microseconds since 1970-01-01 UTC. Identifiers of versions, deployments and audit
entries are the 16 bytes of a UUID; those of accounts, users, tokens and scripts are 32 lower-case hex digits.
"""

from msgspec import Struct


class ScriptRef(Struct, frozen=True):
    """Where a script is: its account, its dispatch namespace ("" for none) and its name."""

    account_id: str
    name: str
    namespace: str = ""


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


class Inherit(Struct, frozen=True):
    """A binding that an upload takes over from the version before: `old_name` there, `name` here."""

    name: str
    old_name: str


class Module(Struct, frozen=True):
    """One file of a script. Bodies are kept once for each `digest` (SHA-256) in an account."""

    name: str
    content_type: str
    digest: bytes
    body: bytes


class Upload(Struct, frozen=True, kw_only=True):
    """New code and versioned settings of a script, which the change creates when it is absent.

    Attributes:
        script_id: the tag a script gets if this upload creates it.
        main_module: name of the module that the runtime starts, or of the body part of a classic script.
        modules: every file, in the order it came.
        settings: JSON object of the versioned settings (compatibility date, flags, limits ...).
        script_settings: JSON object of the settings that belong to the script and not to a version
            (tags, logpush, observability, tail consumers).
        keep: kinds of which the bindings of the version before stay, unless this upload names them.
        inherits: bindings to take over by name, whatever their kind.
        strict_inherit: refuse the change when one of `inherits` cannot be found, instead of dropping it.
    """

    script_id: str
    main_module: str
    modules: tuple[Module, ...]
    settings: bytes
    script_settings: bytes
    keep: frozenset[str]
    inherits: tuple[Inherit, ...] = ()
    strict_inherit: bool = False


class Stamp(Struct, frozen=True, kw_only=True):
    """The version that a change makes and the deployment of it at 100 %.

    Attributes:
        version_id: the new version's UUID, 16 bytes.
        deployment_id: the new deployment's UUID, 16 bytes.
        source: who made it, a word of the wire: `api`, `wrangler`, `terraform`, `unknown` ...
        triggered_by: `upload` or `secret`.
        author_id: the user's id.
        author_email: the user's e-mail.
        annotations: JSON object of further annotations and version tags, b"{}" for none.
    """

    version_id: bytes
    deployment_id: bytes
    source: str
    triggered_by: str
    author_id: str
    author_email: str
    annotations: bytes = b"{}"


class ScriptEdit(Struct, frozen=True, kw_only=True):
    """What a change does to one script, all of it or nothing.

    Attributes:
        ref: which script.
        stamp: the version and deployment it makes; None only with `remove`.
        set: bindings to create or replace.
        drop: names of secrets to remove.
        require_drop: refuse the change when a name of `drop` is no secret of the script;
            otherwise such names are passed over.
        upload: new code; None leaves the code as it is and needs the script to exist.
        remove: delete the script with all that belongs to it.
        max_variables: the most secrets and text and JSON variables that the script may then have.
        list_secrets: whether the outcome is to tell every secret there is then.
    """

    ref: ScriptRef
    stamp: Stamp | None = None
    set: tuple[Binding, ...] = ()
    drop: tuple[str, ...] = ()
    require_drop: bool = True
    upload: Upload | None = None
    remove: bool = False
    max_variables: int = 128
    list_secrets: bool = False


class Account(Struct, frozen=True):
    """A tenant: everything else belongs to one."""

    id: str
    name: str
    created_on: int


class User(Struct, frozen=True):
    """A person.

    Attributes:
        id: 32 hex digits.
        email: unique, whatever its case.
        key_digest: SHA-256 of the Global API key.
        created_on: when it was made.
        service_key_digest: SHA-256 of the user service key, or None without one.
    """

    id: str
    email: str
    key_digest: bytes
    created_on: int
    service_key_digest: bytes | None = None


class Membership(Struct, frozen=True):
    """A user's place in an account; `policies` is the JSON list of what the Global API key may do there."""

    account_id: str
    user_id: str
    policies: bytes
    created_on: int


class Token(Struct, frozen=True, kw_only=True):
    """An API token, known by the SHA-256 of its secret.

    Attributes:
        id: 32 hex digits.
        digest: SHA-256 of the token as it is sent.
        user_id: whose it is, or who made it for an account.
        name: what its owner calls it.
        status: `active` or `disabled`.
        policies: JSON list of policies.
        issued_on: when it was made.
        modified_on: when it was last changed.
        not_before: from when it may be used, or None.
        expires_on: until when it may be used, or None.
        account_id: the account that owns it, or "" when a user does.
        condition: JSON object of what a request must be like: `request_ip` with `in` and `not_in`.
    """

    id: str
    digest: bytes
    user_id: str
    name: str
    status: str
    policies: bytes
    issued_on: int
    modified_on: int
    not_before: int | None = None
    expires_on: int | None = None
    account_id: str = ""
    condition: bytes = b"{}"


Identity = Account | User | Membership | Token


class AuditEntry(Struct, frozen=True):
    """One line of the log: who did what to which resource. `leaf` is the Merkle leaf hash of `entry`."""

    account_id: str
    entry: bytes
    leaf: bytes


class Change(Struct, frozen=True, kw_only=True):
    """One mutation, applied whole or not at all.

    Attributes:
        at: when, in microseconds.
        audit: the log entry written with it.
        edit: what happens to a script.
        put: accounts, users, memberships and tokens to create or replace by their id.
        drop_tokens: ids of tokens to delete; one that is not there is passed over.
        unchanged: tokens that must still be as they were read, or nothing is done.
    """

    at: int
    audit: AuditEntry
    edit: ScriptEdit | None = None
    put: tuple[Identity, ...] = ()
    drop_tokens: tuple[str, ...] = ()
    unchanged: tuple[Token, ...] = ()


class Script(Struct, frozen=True, kw_only=True):
    """A script as lists show it."""

    ref: ScriptRef
    id: str
    created_on: int
    modified_on: int
    version: int
    upload_version: int
    etag: str
    main_module: str
    settings: bytes
    script_settings: bytes
    source: str


class Outcome(Struct, frozen=True):
    """What a change came to.

    Attributes:
        version: number of the version it made, 0 when it made none.
        script_id: the script's tag, "" when no script was concerned.
        script: the script as it is after an upload, else None.
        secrets: `shown` of every secret the script has after it, by name, if the edit asks for them.
    """

    version: int = 0
    script_id: str = ""
    secrets: tuple[bytes, ...] = ()
    script: Script | None = None


class Version(Struct, frozen=True, kw_only=True):
    """One version of a script; `upload_version` is the number of the version whose code it runs."""

    number: int
    id: bytes
    created_on: int
    upload_version: int
    source: str
    triggered_by: str
    author_id: str
    author_email: str
    annotations: bytes


class Deployment(Struct, frozen=True, kw_only=True):
    """What is served: versions with their percentages, newest deployment first in a list."""

    id: bytes
    created_on: int
    source: str
    author_email: str
    annotations: bytes
    versions: tuple[tuple[bytes, float], ...]
