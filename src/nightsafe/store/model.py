"""What the store keeps, as values, and the one `Change` that alters it.

Times are whole microseconds since 1970-01-01 UTC. Identifiers of versions, deployments and audit
entries are the 16 bytes of a UUID; those of accounts, users, tokens and scripts are 32 lower-case hex digits.
"""

from typing import TYPE_CHECKING

from msgspec import Struct

from nightsafe.errors import Code
from nightsafe.store.holding import Entry, Holder, HolderEdit
from nightsafe.store.values import Resealed, Retirement

if TYPE_CHECKING:
    from nightsafe.store.lookups import Need, Pointing


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


class Inherit(Struct, frozen=True):
    """A binding that an upload takes over from the version before: `old_name` there, `name` here.

    With `must` the edit is refused when it cannot be found, whatever `Rebind.strict` says of the others.
    """

    name: str
    old_name: str
    must: bool = False


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


class Rebind(Struct, frozen=True, kw_only=True):
    """The bindings as a whole: those that neither the edit sets nor this keeps or inherits are taken away.

    Attributes:
        keep: kinds of which the bindings of the version before stay, unless the edit sets one of that name.
        inherits: bindings to take over by name, whatever their kind.
        strict: refuse the edit when one of `inherits` cannot be found, instead of dropping it.
    """

    keep: frozenset[str] = frozenset()
    inherits: tuple[Inherit, ...] = ()
    strict: bool = False


class Settings(Struct, frozen=True):
    """A JSON object of settings: instead of those there are or, with `merge`, member by member over them.

    In a merge a member that is null is removed; the others replace what was there, whole. With `over`, what there is
    must still be that, byte for byte: whoever works out the new from the old undoes nothing of another's.
    """

    body: bytes
    merge: bool = False
    over: bytes | None = None


class Stamp(Struct, frozen=True, kw_only=True):
    """The version that an edit makes, and the deployment of it at 100 %.

    Attributes:
        version_id: the new version's UUID, 16 bytes.
        deployment_id: the UUID of its deployment, 16 bytes, or b"" for a version that is not deployed.
        source: who made it, a word of the wire: `api`, `wrangler`, `terraform`, `unknown` ...
        triggered_by: `upload`, `secret`, `version_upload` ...
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


class NewDeployment(Struct, frozen=True, kw_only=True):
    """Versions that are to be served from now on, in place of those that are.

    Attributes:
        id: its UUID, 16 bytes.
        versions: UUIDs of versions with their percentages, which the caller has checked to sum to 100.
        force: also when secrets have changed since these versions were served.
        source, author_id, author_email, annotations: as in `Stamp`.
    """

    id: bytes
    versions: tuple[tuple[bytes, float], ...]
    source: str
    author_id: str
    author_email: str
    annotations: bytes = b"{}"
    force: bool = False


class ScriptEdit(Struct, frozen=True, kw_only=True):
    """What a change does to one script, all of it or nothing.

    Attributes:
        ref: which script.
        stamp: the version it makes; None when it can make none.
        set: bindings to create or replace.
        drop: names of secrets to remove.
        require_drop: refuse the change when a name of `drop` is no secret of the script; else it is passed over.
        upload: new code; None leaves the code as it is and needs the script to exist.
        rebind: what becomes of the bindings that are neither set nor dropped; None leaves them.
        settings: versioned settings (compatibility date, flags, limits ...); None leaves them.
        script_settings: settings that belong to the script and not to a version (tags, logpush, observability,
            tail consumers); None leaves them.
        standing: JSON object of what no upload touches (subdomain, schedules, migration tag), merged as
            `Settings.merge` says; None leaves it.
        must_be_live: the code to refuse with unless the newest version is the only deployed one; None for any state.
        always: make a version even if nothing is altered.
        deploy: a deployment to make, of versions that are there.
        remove: delete the script with all that belongs to it.
        pointing: with `remove`, what may lead to the script must still be that; None for whatever leads to it.
        needs: scripts that must be there.
        based_on: number that the newest version must have, 0 for a script that must not be there; None for any.
        max_variables: the most secrets and text and JSON variables that the script may then have.
        list_secrets: whether the outcome is to tell every secret there is then.
    """

    ref: ScriptRef
    stamp: Stamp | None = None
    set: tuple[Binding, ...] = ()
    drop: tuple[str, ...] = ()
    require_drop: bool = True
    upload: Upload | None = None
    rebind: Rebind | None = None
    settings: Settings | None = None
    script_settings: Settings | None = None
    standing: bytes | None = None
    must_be_live: Code | None = None
    always: bool = False
    deploy: NewDeployment | None = None
    remove: bool = False
    pointing: "Pointing | None" = None
    needs: "tuple[Need, ...]" = ()
    based_on: int | None = None
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
        hold: what happens to a holder and its entries.
        put: accounts, users, memberships and tokens to create or replace by their id.
        drop_tokens: ids of tokens to delete; one that is not there is passed over.
        unchanged: tokens that must still be as they were read, or nothing is done.
        reseal: values of the audit entry's account that get another record; those that are no longer as they were
            read are passed over.
        retire: a recipient key that takes no new values from now on.
        ring_number: number of a public ring that is in use; only a greater one than is known is kept.
    """

    at: int
    audit: AuditEntry
    edit: ScriptEdit | None = None
    hold: HolderEdit | None = None
    put: tuple[Identity, ...] = ()
    drop_tokens: tuple[str, ...] = ()
    unchanged: tuple[Token, ...] = ()
    reseal: tuple[Resealed, ...] = ()
    retire: Retirement | None = None
    ring_number: int = 0


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
        script_settings, standing: as in `ScriptEdit`.
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
    standing: bytes
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


class Outcome(Struct, frozen=True):
    """What a change came to.

    Attributes:
        version: number of the version it made, 0 when it made none.
        script_id: the script's tag, "" when no script was concerned.
        secrets: `shown` of every secret the script has after it, by name, if the edit asks for them.
        script: the script as it is after an edit that can alter more than secrets (with an upload, settings of
            any level, `standing`, `rebind`, `always` or `deploy`), else None.
        newest: the newest version after such an edit, else None.
        deployment: the deployment that `deploy` made, else None.
        holder: the holder after an edit of it that does not remove it, else None.
        entries: every entry of that holder, by slot and name.
        resealed: marks of the values that got another record.
    """

    version: int = 0
    script_id: str = ""
    secrets: tuple[bytes, ...] = ()
    script: Script | None = None
    newest: Version | None = None
    deployment: Deployment | None = None
    holder: Holder | None = None
    entries: tuple[Entry, ...] = ()
    resealed: tuple[str, ...] = ()
