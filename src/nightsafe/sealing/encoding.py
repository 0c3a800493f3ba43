"""Length-prefixed encoding and the ids made with it: `docs/sealed-format.md`, "Conventions" and "Key ids"."""

from hashlib import sha256

ID_SIZE = 8


def encode(tag: bytes, *fields: bytes) -> bytes:
    """The tag and each field, each after its length as four bytes, big-endian.

    Args:
        tag: ASCII words that say what this is for; they fix how many fields follow.
        fields: any bytes, each under 4 GiB.
    """
    return b"".join([len(item).to_bytes(4, "big") + item for item in (tag, *fields)])


def short_id(tag: bytes, *fields: bytes) -> str:
    """The first eight bytes of SHA-256 over `encode(tag, …)`, as 16 hex digits."""
    return sha256(encode(tag, *fields)).digest()[:ID_SIZE].hex()
