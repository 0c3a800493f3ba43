"""Tokens and keys: their format, randomness and checksum."""

import collections
import math
import re
import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.identity import credentials
from nightsafe.identity.credentials import digest, has_valid_checksum, new_key, new_service_key, new_token

MAKERS = pytest.mark.parametrize(
    ("make", "prefix"), [(new_token, "nst_"), (new_key, "nsk_"), (new_service_key, "v1.0-nss_")]
)
ALPHABET = string.ascii_letters + string.digits


@MAKERS
def test_a_credential_has_one_format(make: object, prefix: str) -> None:
    """A credential is a prefix, 32 characters of base 62 and six of checksum, which every header can carry."""
    made = [make() for _ in range(200)]  # type: ignore[operator]

    assert all(re.fullmatch(prefix + r"[0-9A-Za-z]{38}", credential) for credential in made)
    assert len(set(made)) == len(made)


def test_a_credential_has_160_random_bits() -> None:
    """A credential has at least 160 random bits."""
    assert credentials._RANDOM_LENGTH * math.log2(len(credentials._ALPHABET)) >= 160
    assert set(ALPHABET) == set(credentials._ALPHABET)
    assert len(ALPHABET) == len(credentials._ALPHABET)


def test_a_credentials_characters_are_evenly_distributed() -> None:
    """Over 64,000 characters, each occurs with its expected frequency, within seven standard deviations."""
    text = "".join(new_token()[4:36] for _ in range(2000))
    mean = len(text) / 62
    counts = collections.Counter(text)

    assert set(ALPHABET) == set(counts)
    assert all(abs(count - mean) < 7 * math.sqrt(mean) for count in counts.values())


def test_a_credential_comes_from_the_systems_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each character is drawn by the `secrets` module."""
    drawn: list[str] = []

    def choice(alphabet: str) -> str:
        """Record the alphabet that is drawn from."""
        drawn.append(alphabet)
        return "x"

    monkeypatch.setattr(secrets, "choice", choice)

    assert new_token().startswith("nst_" + "x" * 32)
    assert [credentials._ALPHABET] * 32 == drawn


@MAKERS
def test_the_checksum_detects_mistakes(make: object, prefix: str) -> None:
    """The checksum detects one replaced character and two swapped neighbours."""
    made: str = make()  # type: ignore[operator]

    assert has_valid_checksum(made)
    assert made.startswith(prefix)
    for at in range(len(made)):
        other = "0" if made[at] != "0" else "1"
        assert not has_valid_checksum(made[:at] + other + made[at + 1 :])
        swapped = made[:at] + made[at : at + 2][::-1] + made[at + 2 :]
        assert swapped == made or not has_valid_checksum(swapped)


@given(st.text(max_size=60) | st.builds("nst_{}".format, st.text(ALPHABET, min_size=36, max_size=40)))
def test_any_text_can_be_checked(text: str) -> None:
    """Any text can be checked without an exception, and none passes."""
    assert has_valid_checksum(text) is False


@given(st.binary())
def test_a_digest_is_the_same_for_text_and_bytes(raw: bytes) -> None:
    """A digest is the SHA-256 of the characters as they are sent."""
    assert len(digest(raw)) == 32
    assert digest(raw.hex()) == digest(raw.hex().encode())
