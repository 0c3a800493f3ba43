"""All sealed values of an account, and the changes that a key rotation makes to them.

A value is in a script's newest version, in the history of its older versions, or in a collection's item. A rotation
treats all of them alike. `store/scripts.py` defines the forms of times and ids.
"""

from msgspec import Struct

from nightsafe.sealing.record import RECORD_MAGIC
from nightsafe.store.collections import Kind


class StoredValue(Struct, frozen=True, kw_only=True):
    """One sealed value, with everything that identifies the place it was sealed for.

    Attributes:
        mark: the value's position, in the engine's own form. Marks sort in the order in which `Store.values_under`
            returns values. A mark may later name another value, or no value.
        account_id: the account that owns it.
        collection: the collection's kind, or None for a script's version.
        namespace: the script's dispatch namespace, or "".
        owner: the name of the script or the collection.
        environment: as in `Item`; "" for a script.
        name: the name of the binding or item.
        kind: the binding's or item's `type`.
        shown: as in `Binding` and `Item`.
        sealed: the sealed value, or a signed record of the first form, as it is stored.
        record: the whole record, with the proof that it was put there.
        key_id: the recipient key that it is sealed to.
        place: its place in the log, without `value/`: see store/log/written.py.
    """

    mark: str
    account_id: str
    collection: Kind | None = None
    namespace: str = ""
    owner: str
    environment: str = ""
    name: str
    kind: str
    shown: bytes
    sealed: bytes
    record: bytes
    key_id: str
    place: str

    @property
    def is_older(self) -> bool:
        """Whether it is stored as a record of the first form, which has a signature of its own and no statement."""
        return self.sealed.startswith(RECORD_MAGIC)


class Resealed(Struct, frozen=True, kw_only=True):
    """The same value sealed to another key. Its record replaces the old record without making a version.

    Or the same sealed value without its signature, when a record of the first form gets its statement.

    Attributes:
        mark: the value's mark, from `Store.values_under`.
        before: `StoredValue.sealed`, which must still be at the mark; otherwise this value is skipped.
        sealed: the new sealed value.
        key_id: the recipient key that it is sealed to.
        digest: `Context.record_digest` of the new sealed value.
    """

    mark: str
    before: bytes
    sealed: bytes
    key_id: str
    digest: bytes = b""


class Retirement(Struct, frozen=True, kw_only=True):
    """The retirement of a recipient key: it accepts no new values in any account, from anyone; existing values stay.

    Attributes:
        key_id: the id of the key.
        in_use: retire the key even if values are sealed to it.
    """

    key_id: str
    in_use: bool = False
