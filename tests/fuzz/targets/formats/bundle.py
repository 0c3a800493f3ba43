"""Bundles as the delivery process gets them: as they come, and as the payload of a correctly signed one."""

import msgspec

from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import _message, open_bundle, sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

_KEY = SigningKey.generate()
_TRUSTED = VerifyKeys([_KEY.verify_key])
_HEAD = b"NSB\x01\x01" + bytes.fromhex(_KEY.id)


def check(data: bytes) -> None:
    """Check that nothing unsigned opens, and that a signed bundle is refused or equals itself signed again."""
    try:
        open_bundle(data, _TRUSTED)
        raise AssertionError("an unsigned bundle was opened")
    except NightsafeError as refused:
        assert refused.code is Code.CANNOT_OPEN
    signed = _HEAD + _KEY.sign_message(_message(data, _KEY.id)) + data
    try:
        bundle = open_bundle(signed, _TRUSTED)
    except NightsafeError as refused:
        assert refused.code in {Code.INVALID, Code.CANNOT_OPEN}
        return
    again: Bundle = open_bundle(sign_bundle(bundle, _KEY), _TRUSTED)
    assert msgspec.json.encode(again) == msgspec.json.encode(bundle)
    assert all(version.fingerprint() for version in bundle.versions)
