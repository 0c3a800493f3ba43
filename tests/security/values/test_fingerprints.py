"""Attacks with a value's fingerprint and the fingerprint key."""

import secrets
from itertools import product

from nightsafe.cli.secret.fingerprints import FingerprintKey, FingerprintScope

HERE = FingerprintScope("a" * 32, "worker")


def _text(value: str) -> dict[str, str]:
    """Return a secret text in the form that fingerprints are made of."""
    return {"type": "secret_text", "text": value}


def test_guesses_can_be_tried() -> None:
    """With a value's fingerprint and its key, an attacker can try out guesses at the value, but cannot find a value
    that cannot be guessed.

    A three-digit PIN is found in a thousand guesses. The fingerprint of a value that is in no list of guesses shows
    nothing about it, not even its length.
    """
    key = FingerprintKey(secrets.token_bytes(32))
    pin = key.tag(HERE, {"PIN": _text("735")})
    random = [secrets.token_hex(16), secrets.token_hex(160)]
    tags = [key.tag(HERE, {"TOKEN": _text(value)}) for value in random]
    guesses = ["".join(digits) for digits in product("0123456789", repeat=3)]

    assert ["735"] == [guess for guess in guesses if key.matches(pin, HERE, "PIN", _text(guess))]
    assert not [guess for guess in guesses for tag in tags if key.matches(tag, HERE, "TOKEN", _text(guess))]
    assert 1 == len({len(tag) for tag in tags})
    assert not [value for value in random for tag in tags if value[:8] in tag]
    assert key.matches(tags[0], HERE, "TOKEN", _text(random[0]))
    assert not key.matches(tags[0], HERE, "TOKEN", _text(random[0][:-1] + "?"))
