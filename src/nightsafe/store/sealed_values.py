"""The sealed values of an account wherever they lie, and what a rotation of keys does to them.

A value lies in a script's newest version, in the history of its older ones, or in a collection's item; to a rotation
they are alike. Times and ids are as in `store/scripts.py`.
"""

from msgspec import Struct

from nightsafe.store.collections import Kind


class StoredValue(Struct, frozen=True, kw_only=True):
    """One sealed value, with all that tells which place it was sealed for.

    Attributes:
        mark: where it lies, in the engine's own words. They sort in the order in which `Store.values_under` gives
            values, and may come to name another value, or none.
        account_id: whose it is.
        collection: kind of the collection, None for a script's version.
        namespace: dispatch namespace of the script, or "".
        owner: name of the script or the collection.
        environment: as in `Item`; "" for a script.
        name: of the binding or item.
        kind: the wire's `type`.
        shown: as in `Binding` and `Item`.
        sealed: the signed, sealed record.
        key_id: the recipient key that it is sealed to.
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
    key_id: str


class Resealed(Struct, frozen=True, kw_only=True):
    """The same value under another key: it takes the other record's place, and no version is made.

    Attributes:
        mark: where, as `Store.values_under` told.
        before: the record that must still lie there; otherwise nothing is done with this one.
        sealed: the record to put there.
        key_id: the recipient key that it is sealed to.
    """

    mark: str
    before: bytes
    sealed: bytes
    key_id: str


class Retirement(Struct, frozen=True, kw_only=True):
    """A recipient key takes no new values from now on, in any account, whoever brings them; what there is stays.

    Attributes:
        key_id: which.
        in_use: also when values are sealed to it.
    """

    key_id: str
    in_use: bool = False
