"""The context that a sealed value belongs to, and the bytes that bind the value to it."""

from functools import lru_cache
from hashlib import sha256

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode

INFO_TAG = b"nightsafe sealed value v1"
SIGNATURE_TAG = b"nightsafe record signature v1"
_RECORD_TAG = encode(b"nightsafe record v2")
_GROUPED_TAG = encode(b"nightsafe sealed value v2")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The place that a sealed value is bound to; the value opens only with the same context.

    Attributes:
        account_id: the account.
        namespace: the dispatch namespace, or "" for a script outside any dispatch namespace.
        script: the script's name.
        name: the binding's name.
        kind: the binding's type, such as `secret_text`.
        public: canonical JSON (RFC 8785) of the public metadata, or b"" for a type that has no metadata; compared
            byte for byte.
    """

    account_id: str
    namespace: str
    script: str
    name: str
    kind: str
    public: bytes = b""

    def info(self, value_id: bytes, key_id: str) -> bytes:
        """Return HPKE's `info` for one value under one key.

        Raises:
            NightsafeError: INVALID, when UTF-8 cannot encode a field.
        """
        return encode(INFO_TAG) + _place(self) + encode(value_id, bytes.fromhex(key_id))

    def grouped_info(self, value_id: bytes, key_id: str, group_id: bytes) -> bytes:
        """Return the `info` from which the key of one value of a group is derived.

        Raises:
            NightsafeError: INVALID, when UTF-8 cannot encode a field.
        """
        return _GROUPED_TAG + _place(self) + encode(value_id, bytes.fromhex(key_id), group_id)

    def signed_message(self, sealed: bytes, signer_id: str) -> bytes:
        """Return the message that the API process signs for a sealed value in this context.

        Raises:
            NightsafeError: INVALID, when UTF-8 cannot encode a field.
        """
        return encode(SIGNATURE_TAG) + _place(self) + encode(sha256(sealed).digest(), bytes.fromhex(signer_id))

    def record_digest(self, sealed: bytes) -> bytes:
        """Return the SHA-256 that the log states for a sealed value in this context.

        Raises:
            NightsafeError: INVALID, when UTF-8 cannot encode a field.
        """
        return sha256(_RECORD_TAG + _place(self) + encode(sha256(sealed).digest())).digest()


@lru_cache(maxsize=2)
def _place(context: Context) -> bytes:
    """Encode the six fields as the format defines.

    The result is cached because a value is sealed and then signed for the same context.

    Raises:
        NightsafeError: INVALID, when UTF-8 cannot encode a field.
    """
    texts = (context.account_id, context.namespace, context.script, context.name, context.kind)
    try:
        return encode(*(text.encode() for text in texts), context.public)
    except UnicodeEncodeError:
        raise NightsafeError(Code.INVALID, "a name contains a character that UTF-8 cannot encode") from None
