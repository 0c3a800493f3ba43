"""The one `Change` that alters the store, its audit entry, and its outcome.

Times and ids are as in `store/scripts.py`.
"""

from msgspec import Struct

from nightsafe.store.collections import Collection, CollectionEdit, Item
from nightsafe.store.identities import Identity, Token
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Deployment, Script, Version
from nightsafe.store.sealed_values import Resealed, Retirement


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
        collection_edit: what happens to a collection and its items.
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
    collection_edit: CollectionEdit | None = None
    put: tuple[Identity, ...] = ()
    drop_tokens: tuple[str, ...] = ()
    unchanged: tuple[Token, ...] = ()
    reseal: tuple[Resealed, ...] = ()
    retire: Retirement | None = None
    ring_number: int = 0


class Outcome(Struct, frozen=True):
    """What a change came to.

    Attributes:
        version: number of the version it made, 0 when it made none.
        script_id: the script's tag, "" when no script was concerned.
        secrets: `shown` of every secret the script has after it, by name, if the edit asks for them.
        script: the script as it is after an edit that can alter more than secrets (with an upload, settings of
            any level, `triggers`, `bindings_update`, `always` or `deploy`), else None.
        newest: the newest version after such an edit, else None.
        deployment: the deployment that `deploy` made, else None.
        collection: the collection after an edit of it that does not remove it, else None.
        items: every item of that collection, by environment and name.
        resealed: marks of the values that got another record.
    """

    version: int = 0
    script_id: str = ""
    secrets: tuple[bytes, ...] = ()
    script: Script | None = None
    newest: Version | None = None
    deployment: Deployment | None = None
    collection: Collection | None = None
    items: tuple[Item, ...] = ()
    resealed: tuple[str, ...] = ()
