"""Imports: the sealing side never loads code that opens, and the package itself loads no cryptography."""

import pytest
from tests.unit.tools.interpreter import loaded_by

SEALING_SIDE = (
    "nightsafe.sealing.sealer",
    "nightsafe.sealing.groups.sealer",
    "nightsafe.sealing.signing_key",
    "nightsafe.sealing.rings.public_ring",
)


@pytest.mark.parametrize("module", ["opener", "groups.key_cache", "rings.private_ring"])
def test_the_sealing_side_does_not_load_the_opener(module: str) -> None:
    """The public ring, the signing key and the sealers load no code that opens, and not the private ring."""
    assert f"nightsafe.sealing.{module}" not in loaded_by(f"import {', '.join(SEALING_SIDE)}")


def test_the_delivery_side_loads_no_signing_key() -> None:
    """The opener and the verification keys do not load the signing key."""
    assert "nightsafe.sealing.signing_key" not in loaded_by("import nightsafe.sealing.opener")


def test_the_package_loads_no_cryptography() -> None:
    """`Context`, the interfaces and `key_id_of` load no cryptography."""
    assert "cryptography" not in loaded_by("import nightsafe.sealing")
