"""What passes between the API and the delivery side when values are sealed anew, as JSON.

The API gives values with their places; the delivery side gives back sealed values, never a place: where each belongs
is what the API finds at its mark.
"""

from msgspec import Struct


class OldValue(Struct, frozen=True, kw_only=True):
    """A value under a key that is not the primary any more, with the place it was sealed and signed for.

    Attributes:
        mark: by which it is handed back.
        namespace, script, name, kind: of the place that it is signed for, as in `sealing.context.Context`.
        sealed_name: in place of `name`, what it is sealed to.
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
    """Some of the values to seal anew.

    Attributes:
        primary: id of the key to seal them to.
        values: none when there are no more.
        next: where to go on; a value that could not be sealed anew is passed by that way.
        waiting: how many values there were to seal anew when the first were asked for, None further on.
    """

    primary: str
    values: tuple[OldValue, ...]
    next: str
    waiting: int | None = None


class NewValue(Struct, frozen=True, kw_only=True):
    """A value sealed anew.

    Attributes:
        mark: of the old one.
        before: SHA-256 of its record.
        sealed: the sealed value, unsigned.
    """

    mark: str
    before: bytes
    sealed: bytes


class NewValues(Struct, frozen=True):
    """Values that were sealed anew, to be stored."""

    values: tuple[NewValue, ...]


class Stored(Struct, frozen=True, kw_only=True):
    """What became of them.

    Attributes:
        resealed: how many were stored.
        changed: how many were not, because others had taken their place meanwhile.
        refused: how many were not, because what they were to replace was never signed for its place.
    """

    resealed: int
    changed: int
    refused: int
