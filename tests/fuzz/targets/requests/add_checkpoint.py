"""The body of a request to a witness, and a verifier key in its first line."""

from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.verifier_key import COSIGNATURE, ED25519, VerifierKey


def check(data: bytes) -> None:
    """Check that a body is refused as INVALID, or is exactly the one that its parts make."""
    try:
        assert data == AddCheckpoint.parse(data).encode()
    except NightsafeError as error:
        assert Code.INVALID is error.code
    text = data.partition(b"\n")[0].decode("utf-8", "replace")
    for kind in (ED25519, COSIGNATURE):
        try:
            assert text == VerifierKey.parse(text, kind).encode()
        except NightsafeError as error:
            assert Code.INVALID is error.code
