"""Sealed values and stored records, each with one encoding only."""

from tests.proofs import proven_record, signed_record

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.padding import unpad
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.sealing.record import Record, SealedValue, key_id_of
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

_RING = PrivateRing.generate()
_KEY = SigningKey.generate()
_OPENER = RecordOpener(VerifyKeys([_KEY.verify_key]), _RING)
_PLACE = Context(account_id="0" * 32, namespace="", script="s", name="N", kind="secret_text")


def check(data: bytes) -> None:
    """Check that data that parses packs to the same bytes, and that none of it opens, signed, proven or neither."""
    for form in (SealedValue, Record, ProvenRecord):
        try:
            assert form.parse(data).pack() == data
        except NightsafeError as refused:
            assert refused.code is Code.CANNOT_OPEN
    for record in (data, signed_record(_KEY, _PLACE, data), proven_record(_KEY, _PLACE, data)):
        try:
            assert len(key_id_of(record)) == 16
        except NightsafeError as refused:
            assert refused.code is Code.CANNOT_OPEN
        try:
            _OPENER.open(_PLACE, record)
            raise AssertionError("a value that nobody sealed was opened")
        except NightsafeError as refused:
            assert refused.code is Code.CANNOT_OPEN
    try:
        assert len(unpad(data)) <= len(data)
    except NightsafeError as refused:
        assert refused.code is Code.CANNOT_OPEN
