"""Signed bundles: the signed bundle is read unchanged, and anything else is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion
from nightsafe.bundle.signed import open_bundle, sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY = SigningKey.generate()
TRUSTED = VerifyKeys([KEY.verify_key])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BINDINGS = st.builds(
    BundleBinding,
    TEXT,
    TEXT,
    TEXT.map(lambda text: msgspec.Raw(msgspec.json.encode({"name": text}))),
    st.none() | st.binary(),
)
VERSIONS = st.builds(
    BundleVersion,
    id=TEXT,
    percentage=st.floats(0, 100),
    created_on=TEXT,
    main_module=TEXT,
    modules=st.lists(st.builds(BundleModule, TEXT, TEXT, st.binary()), max_size=3).map(tuple),
    bindings=st.lists(BINDINGS, max_size=3).map(tuple),
)
BUNDLES = st.builds(
    Bundle,
    account_id=TEXT,
    script=TEXT,
    serial=st.integers(0, 2**63 - 1),
    versions=st.lists(VERSIONS, max_size=2).map(tuple),
)


@given(BUNDLES)
def test_a_signed_bundle_is_read_unchanged(bundle: Bundle) -> None:
    """Every field of a signed bundle is unchanged."""
    found = open_bundle(sign_bundle(bundle, KEY), TRUSTED)

    assert msgspec.json.encode(bundle) == msgspec.json.encode(found)


@given(BUNDLES, st.data())
def test_a_changed_bit_is_refused(bundle: Bundle, data: st.DataObject) -> None:
    """A bundle with any one changed bit is refused."""
    signed = bytearray(sign_bundle(bundle, KEY))
    bit = data.draw(st.integers(0, len(signed) * 8 - 1))
    signed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(NightsafeError) as refused:
        open_bundle(bytes(signed), TRUSTED)
    assert Code.CANNOT_OPEN is refused.value.code


@given(st.binary(max_size=200))
def test_bytes_that_are_not_a_signed_bundle_are_refused(data: bytes) -> None:
    """Random bytes, a truncated bundle and an empty one are refused."""
    signed = sign_bundle(Bundle(account_id="a", script="s", serial=1), KEY)
    for signed_bytes in (data, signed[: len(data)], signed[:77], b""):
        with pytest.raises(NightsafeError):
            open_bundle(signed_bytes, TRUSTED)


def test_another_signer_is_refused() -> None:
    """A bundle of another signer is refused, also with the trusted key's id."""
    signed = sign_bundle(Bundle(account_id="a", script="s", serial=1), SigningKey.generate())
    for signed_bytes in (signed, signed[:5] + bytes.fromhex(KEY.id) + signed[13:]):
        with pytest.raises(NightsafeError, match="signed"):
            open_bundle(signed_bytes, TRUSTED)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"format":"nightsafe-bundle/2"}', b"\xff", b"[" * 100_000])
def test_a_signed_payload_that_is_no_bundle_is_refused(payload: bytes) -> None:
    """A signed payload that is not a bundle is refused."""
    signed = b"NSB\x01\x01" + bytes.fromhex(KEY.id) + _signature(payload) + payload

    with pytest.raises(NightsafeError) as refused:
        open_bundle(signed, TRUSTED)
    assert refused.value.code in {Code.INVALID, Code.CANNOT_OPEN}


def _signature(payload: bytes) -> bytes:
    """Return the signature as the documents define it, written a second time."""
    from hashlib import sha256  # noqa: PLC0415 - the layout in one place

    return KEY.sign_message(encode(b"nightsafe bundle signature v1", sha256(payload).digest(), bytes.fromhex(KEY.id)))


def test_a_records_signature_is_not_valid_for_a_bundle() -> None:
    """A signature over a stored record is not valid for a bundle, because their tags differ."""
    payload = msgspec.json.encode(Bundle(account_id="a", script="s", serial=1))
    signature = KEY.sign_message(encode(b"nightsafe record signature v1", payload))

    with pytest.raises(NightsafeError, match="signed"):
        open_bundle(b"NSB\x01\x01" + bytes.fromhex(KEY.id) + signature + payload, TRUSTED)


def test_the_fingerprint_ignores_only_the_percentage() -> None:
    """The fingerprint ignores the percentage and changes with anything else."""
    version = BundleVersion(id="1", percentage=10, created_on="", main_module="m", modules=())
    replace = msgspec.structs.replace

    assert version.fingerprint() == replace(version, percentage=20).fingerprint()
    for members in ({"id": "2"}, {"tag": "x"}, {"compatibility_date": "2026-01-01"}, {"classic": True}):
        assert version.fingerprint() != replace(version, **members).fingerprint()
