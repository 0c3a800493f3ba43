"""Collections, which hold named values outside a script's versions, and the only edit that alters them.

A collection is a Pages project, a store of the account's Secrets Store, a dispatch namespace (which holds scripts and
no values), or a script, as the collection of its previews' defaults. Its items have no versions.
`store/scripts.py` defines the forms of times and ids.
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
        account_id: the account that owns it.
        kind: the collection's kind.
        name: unique in its account and kind.
        id: 32 hex digits.
        body: JSON object with all other properties.
        created_on: the time of its creation.
        modified_on: the time when a change last altered it or its items.
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
        environment: the part of the collection that holds it (`production` or `preview` of a Pages project), else "".
        name: unique in its environment.
        id: 32 hex digits, unique in its collection. An item that replaces another of the same name keeps its own id.
        kind: the API's `type` of the item.
        shown: the JSON object that reads return. It contains no secret value.
        created_on: the time when its name was first put.
        modified_on: the time when it was last put.
        sealed: the sealed value, or a signed record of the first form; None for a value that is not a secret.
        key_id: the id of the recipient key that the value is sealed to; None without a sealed value.
        digest: with a sealed value that is written, `Context.record_digest` of it; reads leave it empty.
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
    digest: bytes = b""


class PutMode(StrEnum):
    """The existing items that a put item may replace: any, none, or only an item with the same id."""

    ANY = "any"
    NEW = "new"
    PRESENT = "present"


class CollectionEdit(Struct, frozen=True, kw_only=True):
    """The edit of one collection, which the store applies whole or not at all.

    Attributes:
        account_id: the account that owns the collection.
        kind: the collection's kind. Kind SCRIPT means a script outside every dispatch namespace; the script exists
            independently, and this edit neither creates nor removes it.
        name: the collection's name.
        create: the collection to create, which must be absent; None if the collection must exist.
        body: JSON object to merge over the collection's body; a null member removes that member. None keeps the body.
        expected_body: the body from which `body` was computed, as in `SettingsUpdate.expected`; None for any.
        put: items to create or replace, by environment and name. A replaced item keeps its `created_on`.
        put_mode: the existing items that they may replace: any, none, or only an item with the same id.
        amend: when a put item replaces another, keep the members of the old `shown` that the new one does not name.
            If the new item has no sealed record, also keep the old record and its key id.
        drop: environments and names of items to remove.
        require_drop: refuse the change when one of these items is absent; otherwise ignore absent items.
        remove: delete the collection with its items; a dispatch namespace must hold no script.
        only_empty: refuse to remove a collection that has items.
        max_collections: the maximum number of the account's collections of this kind after the edit; 0 for no limit.
        max_items: the maximum number of items in the account's collections of this kind after the edit; 0 for no
            limit.
    """

    account_id: str
    kind: Kind
    name: str
    create: Collection | None = None
    body: bytes | None = None
    expected_body: bytes | None = None
    put: tuple[Item, ...] = ()
    put_mode: PutMode = PutMode.ANY
    amend: bool = False
    drop: tuple[tuple[str, str], ...] = ()
    require_drop: bool = False
    remove: bool = False
    only_empty: bool = False
    max_collections: int = 0
    max_items: int = 0
