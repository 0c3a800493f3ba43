"""What holds named values beside a script's versions, and the one edit that alters it.

A collection is a Pages project, a store of the account's Secrets Store, a dispatch namespace (which holds scripts and
no values), or a script, as the collection of the defaults of its previews. Its items have no versions.
Times and ids are as in `store/scripts.py`.
"""

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """Kinds of collection."""

    DISPATCH_NAMESPACE = "dispatch_namespace"
    PAGES_PROJECT = "pages_project"
    SCRIPT = "script"
    SECRETS_STORE = "secrets_store"


class Collection(Struct, frozen=True, kw_only=True):
    """One collection.

    Attributes:
        account_id: whose it is.
        kind: what it is.
        name: unique in its account and kind.
        id: 32 hex digits.
        body: JSON object of all else there is to tell of it.
        created_on: when it was made.
        modified_on: when a change last altered it or its items.
    """

    account_id: str
    kind: Kind
    name: str
    id: str
    body: bytes
    created_on: int
    modified_on: int


class Item(Struct, frozen=True, kw_only=True):
    """One named value of a collection.

    Attributes:
        environment: the part of the collection it is in (`production` and `preview` of a Pages project), else "".
        name: unique in its environment.
        id: 32 hex digits, unique in its collection. An item put over another of its name takes its own id along.
        kind: the wire's `type` of it.
        shown: the JSON object that reads give back. Holds no secret value.
        created_on: when its name was first put.
        modified_on: when it was last put.
        sealed: the signed, sealed record; None for a value that is no secret.
        key_id: which recipient key the record is sealed to; None when there is none.
    """

    environment: str = ""
    name: str
    id: str
    kind: str
    shown: bytes
    created_on: int
    modified_on: int
    sealed: bytes | None = None
    key_id: str | None = None


class Put(StrEnum):
    """Over what an item may be put."""

    ANY = "any"
    NEW = "new"
    PRESENT = "present"


class CollectionEdit(Struct, frozen=True, kw_only=True):
    """What a change does to one collection, all of it or nothing.

    Attributes:
        account_id: whose it is.
        kind: what it is; one of kind SCRIPT is a script outside of every dispatch namespace, which exists by itself
            and is neither created nor removed by this.
        name: which one.
        create: the collection to make, which then must not be there; None needs it to be there.
        body: JSON object merged over the collection's, a member that is null being removed; None leaves it.
        body_was: the collection's body that `body` was worked out from, as in `Settings.over`; None for any.
        put: items to create or replace, by environment and name. A replaced item keeps its `created_on`.
        over: over what they may be put: whatever there is, only where there is none, or only where there is one
            with the same id.
        amend: an item put over another keeps the members of its `shown` that the new one does not name and, where
            that has no sealed record, its own with its key id.
        drop: environments and names of items to remove.
        require_drop: refuse the change when one of them is not there; otherwise it is passed over.
        remove: delete the collection with its items; a dispatch namespace must hold no script.
        only_empty: refuse to remove a collection that has items.
        max_collections: the most collections of this kind that the account may then have, 0 for any number.
        max_items: the most items that the account's collections of this kind may then have, 0 for any number.
    """

    account_id: str
    kind: Kind
    name: str
    create: Collection | None = None
    body: bytes | None = None
    body_was: bytes | None = None
    put: tuple[Item, ...] = ()
    over: Put = Put.ANY
    amend: bool = False
    drop: tuple[tuple[str, str], ...] = ()
    require_drop: bool = False
    remove: bool = False
    only_empty: bool = False
    max_collections: int = 0
    max_items: int = 0
