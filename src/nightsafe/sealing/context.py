"""The place a value belongs to, and the bytes that bind it there."""

from functools import lru_cache
from hashlib import sha256

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode

INFO_TAG = b"nightsafe sealed value v1"
SIGNATURE_TAG = b"nightsafe record signature v1"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed value is bound to; it opens only with the same context.

    Attributes:
        account_id: the account.
        namespace: the dispatch namespace, or "" for a script that is in none.
        script: the script's name.
        name: the binding's name.
        kind: the binding's type, such as `secret_text`.
        public: canonical JSON (RFC 8785) of the public metadata, or b"" where the kind has none; it is compared
            byte for byte.
    """

    account_id: str
    namespace: str
    script: str
    name: str
    kind: str
    public: bytes = b""

    def info(self, value_id: bytes, key_id: str) -> bytes:
        """HPKE's `info` for one value under one key.

        Raises:
            NightsafeError: INVALID, when a field is not text that UTF-8 can carry.
        """
        return encode(INFO_TAG) + _place(self) + encode(value_id, bytes.fromhex(key_id))

    def signed_message(self, sealed: bytes, signer_id: str) -> bytes:
        """What the API node signs for a sealed value in this place.

        Raises:
            NightsafeError: INVALID, when a field is not text that UTF-8 can carry.
        """
        return encode(SIGNATURE_TAG) + _place(self) + encode(sha256(sealed).digest(), bytes.fromhex(signer_id))


@lru_cache(maxsize=2)
def _place(context: Context) -> bytes:
    """The six fields as the format has them, kept because a value is sealed and then signed for the same place.

    Raises:
        NightsafeError: INVALID, when a field is not text that UTF-8 can carry.
    """
    texts = (context.account_id, context.namespace, context.script, context.name, context.kind)
    try:
        return encode(*(text.encode() for text in texts), context.public)
    except UnicodeEncodeError:
        raise NightsafeError(Code.INVALID, "a name holds a character that UTF-8 cannot carry") from None
