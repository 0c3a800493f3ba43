"""Length-prefixed encoding and the ids made with it: `docs/sealed-format.md`, "Conventions" and "Key ids"."""

from hashlib import sha256

ID_SIZE = 8


def encode(*items: bytes) -> bytes:
    """Each item after its length as four bytes, big-endian.

    Args:
        items: any bytes, each under 4 GiB. What is signed, sealed to or hashed begins with a tag: ASCII words that
            say what it is for and fix how many items follow.
    """
    return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def short_id(tag: bytes, *fields: bytes) -> str:
    """The first eight bytes of SHA-256 over `encode(tag, …)`, as 16 hex digits."""
    return sha256(encode(tag, *fields)).digest()[:ID_SIZE].hex()
