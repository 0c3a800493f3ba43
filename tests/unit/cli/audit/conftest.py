"""A data directory for the commands on the audit log."""

import shutil
from pathlib import Path

import pytest
from tests.stores import IDENTITY_KEY, SIGNING_KEY
from tests.unit.audit.tools.filled_safe import KEYS, fill

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.ring_signer import public_ring


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with rows of every kind."""
    folder = tmp_path_factory.mktemp("filled")
    data = folder / "safe of the tests"
    data.mkdir(mode=0o700)
    (data / "nightsafe.db").write_bytes(fill(folder, secrets=3))
    (data / "nightsafe.db").chmod(0o600)
    (data / "keys").mkdir(mode=0o700)
    SIGNING_KEY.save(data / "keys" / "signing-key.json")
    IDENTITY_KEY.save(data / "keys" / "identity-key.json")
    KEYS.save(data / "keys" / "verify-keys.json")
    public_ring(PrivateRing.generate()).save(data / "keys" / "public-ring.json")
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of the data directory."""
    return Path(shutil.copytree(filled, tmp_path / "data"))
