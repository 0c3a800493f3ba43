"""Keys, a context and records for the sealing tests."""

from collections.abc import Callable
from functools import partial

import pytest
from tests.proofs import proven_record, signed_record

from nightsafe.sealing import Context, Suite
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import RingSealer, SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue


@pytest.fixture(scope="session")
def context() -> Context:
    """Return the context of a secret key."""
    return Context(
        account_id="0123456789abcdef0123456789abcdef",
        namespace="production",
        script="billing",
        name="API_KEY",
        kind="secret_key",
        public=b'{"algorithm":{"hash":"SHA-256","name":"HMAC"},"format":"raw","usages":["sign"]}',
    )


@pytest.fixture(scope="session", params=Suite)
def ring(request: pytest.FixtureRequest) -> PrivateRing:
    """Return a private ring, of each suite in turn."""
    return PrivateRing.generate(Suite(request.param))


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    """Return the API process's signing key."""
    return SigningKey.generate()


@pytest.fixture(scope="session")
def sealer(ring: PrivateRing, signing_key: SigningKey) -> SigningSealer:
    """Return the API process's sealer."""
    return SigningSealer(ring.public(), signing_key)


@pytest.fixture(scope="session", params=[RingSealer, GroupSealer], ids=["version 1", "version 2"])
def unsigned(request: pytest.FixtureRequest, ring: PrivateRing) -> RingSealer | GroupSealer:
    """Return a sealer that does not sign, of each version in turn."""
    sealer: RingSealer | GroupSealer = request.param(ring.public())
    return sealer


@pytest.fixture(scope="session")
def opener(ring: PrivateRing, signing_key: SigningKey) -> RecordOpener:
    """Return the delivery process's opener."""
    return RecordOpener(VerifyKeys([signing_key.verify_key]), ring)


@pytest.fixture(scope="session", params=[proven_record, signed_record], ids=["proven", "signed"])
def put(request: pytest.FixtureRequest, signing_key: SigningKey) -> Callable[[Context, bytes], bytes]:
    """Return a function that makes the stored record of a sealed value, of each version in turn."""
    return partial(request.param, signing_key)


@pytest.fixture(scope="session")
def stored(sealer: SigningSealer, put: Callable[[Context, bytes], bytes]) -> Callable[[Context, SecretValue], bytes]:
    """Return a function that seals a value and makes its stored record, of each version in turn."""
    return lambda context, value: put(context, sealer.seal(context, value))
