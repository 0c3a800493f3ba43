"""Keys and a context for the sealing tests."""

import pytest

from nightsafe.sealing import Context, Suite
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


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


@pytest.fixture(scope="session")
def opener(ring: PrivateRing, signing_key: SigningKey) -> RecordOpener:
    """Return the delivery process's opener."""
    return RecordOpener(VerifyKeys([signing_key.verify_key]), ring)
