"""The vectors of the sealed-value format, checked with the package and with a second implementation."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proofs import prove, signed_record
from tests.unit.sealing import format_reference as reference
from tests.unit.sealing import make_vectors

from nightsafe.errors import NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord, put_digest
from nightsafe.sealing.record import Record, SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

PATHS = sorted(make_vectors.FOLDER.glob("*.json"))
each_path = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
texts = st.text(max_size=10)
places = st.builds(reference.Place, texts, texts, texts, texts, texts, st.binary(max_size=10))


def outcome(vector: dict[str, Any]) -> dict[str, Any]:
    """Return the package's result for a vector, in the vector's form."""
    ring = PrivateRing.decode(json.dumps(vector["private_ring"]).encode())
    verifier = VerifyKeys.decode(json.dumps(vector["verify_keys"]).encode())
    fields = {**vector["context"], "public": vector["context"]["public"].encode()}
    try:
        opened = RecordOpener(verifier, ring).open(Context(**fields), base64.b64decode(vector["record"]))
    except NightsafeError as error:
        return {"expect": str(error.code)}
    value = opened.reveal()
    digest = hashlib.sha256(value).hexdigest()
    return {"expect": "success", "plaintext_length": len(value), "plaintext_sha256": digest}


@each_path
def test_a_vector_has_its_expected_outcome(path: Path) -> None:
    """Opening a vector has the expected outcome, the second time too."""
    vector = json.loads(path.read_text())
    expected = {key: vector[key] for key in ("expect", "plaintext_length", "plaintext_sha256") if key in vector}
    assert expected == outcome(vector)
    assert expected == outcome(vector)


@pytest.mark.parametrize("path", [path for path in PATHS if "good" in path.stem], ids=lambda path: path.stem)
def test_a_parsed_record_packs_to_the_same_bytes(path: Path) -> None:
    """A valid record is the same bytes after parsing and packing."""
    data = base64.b64decode(json.loads(path.read_text())["record"])
    record = (ProvenRecord if data.startswith(PROVEN_MAGIC) else Record).parse(data)
    assert data == record.pack()
    assert record.sealed == SealedValue.parse(record.sealed).pack()


def test_the_generator_makes_every_vector() -> None:
    """The generator makes exactly the vectors that exist."""
    made = {case.name: make_vectors.text_of(case) for case in make_vectors.deterministic()}
    random = {case.name for case in make_vectors.random()}
    on_disk = {path.stem: path.read_text() for path in PATHS}
    assert made == {name: text for name, text in on_disk.items() if name not in random}
    assert made.keys() | random == on_disk.keys()


def test_each_failure_vector_has_its_own_reason() -> None:
    """Each failure vector differs from the others in its bytes or its place, and has a reason."""
    vectors = [json.loads(path.read_text()) for path in PATHS]
    failures = [vector for vector in vectors if vector["expect"] == "cannot_open"]
    assert all(vector["reason"] for vector in failures)
    assert len(failures) == len({(vector["record"], str(vector["context"])) for vector in failures})


def context_of(place: reference.Place) -> Context:
    """Return the package's context for the second implementation's place."""
    return Context(**vars(place))


@given(place=places, value=st.binary(max_size=1500))
def test_the_second_implementation_opens_what_the_package_seals(
    ring: PrivateRing, signing_key: SigningKey, sealer: SigningSealer, place: reference.Place, value: bytes
) -> None:
    """The second implementation opens what the package seals, for any place and value, each suite and each record."""
    sealed = sealer.seal(context_of(place), SecretValue(value))
    private = ring.keys[0].private.reveal()
    digest = put_digest(context_of(place).record_digest(sealed), 5)
    proofs = [prove(signing_key, [bytes(32)] * at + [digest] + [bytes(32)] * (4 - at))[at] for at in range(5)]
    records = [ProvenRecord.join(5, proof, sealed) for proof in proofs]
    for record in (signed_record(signing_key, context_of(place), sealed), *records):
        assert value == reference.open_(place, record, private, signing_key.verify_key.public)


@given(place=places, value=st.binary(max_size=1500), secret=st.binary(min_size=32, max_size=32))
def test_the_package_opens_what_the_second_implementation_seals(
    ring: PrivateRing, place: reference.Place, value: bytes, secret: bytes
) -> None:
    """The package opens what the second implementation seals, for any place, value and key and each suite."""
    key = ring.keys[0]
    suite, private = key.public.suite.number, key.private.reveal()
    recipe = reference.Recipe(place, suite, private, secret, secret[:16], secret, reference.pad(value))
    verifier = VerifyKeys.decode(json.dumps(verify_keys_of(secret)).encode())
    assert value == RecordOpener(verifier, ring).open(context_of(place), recipe.record()).reveal()


def verify_keys_of(secret: bytes) -> dict[str, Any]:
    """Return the file of verification keys for one signing key, as the format page defines."""
    public = reference.signer_public(secret)
    entry = {"id": reference.signer_id(public).hex(), "public": base64.b64encode(public).decode()}
    return {"format": "nightsafe-verify-keys/1", "keys": [entry]}
