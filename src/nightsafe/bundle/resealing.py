"""JSON messages between API and delivery processes that reseal values.

The API process sends values with their places. The delivery process returns sealed values with their marks, and never
a place: the API process looks up by the mark where each value belongs.
"""

from msgspec import Struct


class OldValue(Struct, frozen=True, kw_only=True):
    """A value sealed to a key that is no longer the primary key, with the place that it was sealed and signed for.

    Attributes:
        mark: identifies the value when the delivery process returns it.
        namespace, script, name, kind: the place that it is signed for, as in `sealing.context.Context`.
        sealed_name: the string that it is sealed to in place of `name`.
        public: canonical JSON of the public metadata, or b"".
        record: the signed, sealed record.
    """

    mark: str
    namespace: str
    script: str
    name: str
    sealed_name: str
    kind: str
    public: bytes
    record: bytes


class OldValues(Struct, frozen=True, kw_only=True):
    """A page of the values to reseal.

    Attributes:
        primary: id of the key to seal them to.
        values: the values; empty after the last page.
        next: the cursor of the next page. It moves past values that could not be resealed.
        waiting: on the first page, how many values there are to reseal; None on later pages.
    """

    primary: str
    values: tuple[OldValue, ...]
    next: str
    waiting: int | None = None


class NewValue(Struct, frozen=True, kw_only=True):
    """A resealed value.

    Attributes:
        mark: the mark of the old value.
        before: SHA-256 of the old value's record.
        sealed: the new sealed value, unsigned.
    """

    mark: str
    before: bytes
    sealed: bytes


class NewValues(Struct, frozen=True):
    """Resealed values for the API to store."""

    values: tuple[NewValue, ...]


class ResealingResult(Struct, frozen=True, kw_only=True):
    """The number of resealed values that the API stored, and of those that it did not store.

    Attributes:
        resealed: how many it stored.
        changed: how many it did not store because the old value had been replaced meanwhile.
        refused: how many it did not store because the old value was never signed for its place.
    """

    resealed: int
    changed: int
    refused: int
