"""Imports: the sealing side never loads code that opens, and the package itself loads no cryptography."""

import subprocess
import sys

import pytest

SEALING_SIDE = ["nightsafe.sealing.sealer", "nightsafe.sealing.signing_key", "nightsafe.sealing.rings.public_ring"]


def modules_after_importing(*names: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after these imports."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["nightsafe.sealing.opener", "nightsafe.sealing.rings.private_ring"])
def test_the_sealing_side_does_not_load_the_opener(module: str) -> None:
    """The public ring, the signing key and the sealer load neither the opener nor the private ring."""
    assert module not in modules_after_importing(*SEALING_SIDE)


def test_the_delivery_side_loads_no_signing_key() -> None:
    """The opener and the verification keys do not load the signing key."""
    assert "nightsafe.sealing.signing_key" not in modules_after_importing("nightsafe.sealing.opener")


def test_the_package_loads_no_cryptography() -> None:
    """`Context`, the interfaces and `key_id_of` load no cryptography."""
    assert "cryptography" not in modules_after_importing("nightsafe.sealing")
