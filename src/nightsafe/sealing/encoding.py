"""Length-prefixed encoding, and the ids made from it: `docs/sealed-format.md`, "Conventions" and "Key ids"."""

from hashlib import sha256

ID_SIZE = 8
_LENGTHS = tuple(length.to_bytes(4, "big") for length in range(256))
"""The encoded lengths of short items, which nearly all items are."""


def encode(*items: bytes) -> bytes:
    """Concatenate the items, each preceded by its length as four bytes, big-endian.

    Args:
        items: any bytes, each under 4 GiB. Input to a signature, a seal or a hash begins with a tag: ASCII words that
            name the purpose and fix the number of items that follow.
    """
    try:
        return b"".join([_LENGTHS[len(item)] + item for item in items])
    except IndexError:
        return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def short_id(tag: bytes, *fields: bytes) -> str:
    """Return the first eight bytes of SHA-256 over `encode(tag, …)`, as 16 hex digits."""
    return sha256(encode(tag, *fields)).digest()[:ID_SIZE].hex()
