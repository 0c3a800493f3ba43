"""Who loads what: the sealing side never loads what opens, and the package itself loads no cryptography."""

import subprocess
import sys

import pytest

SEALING_SIDE = ["nightsafe.sealing.sealer", "nightsafe.sealing.signing_key", "nightsafe.sealing.rings.public_ring"]


def modules_after_importing(*names: str) -> set[str]:
    """The modules a fresh interpreter holds after these imports."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["nightsafe.sealing.opener", "nightsafe.sealing.rings.private_ring"])
def test_the_sealing_side_loads_nothing_that_opens(module: str) -> None:
    """Public ring, signing key and sealer come without opener and private ring."""
    assert module not in modules_after_importing(*SEALING_SIDE)


def test_the_delivery_side_loads_no_signing_key() -> None:
    """Opener and verification keys come without what signs."""
    assert "nightsafe.sealing.signing_key" not in modules_after_importing("nightsafe.sealing.opener")


def test_the_package_loads_no_cryptography() -> None:
    """`Context`, the interfaces and `key_id_of` are light."""
    assert "cryptography" not in modules_after_importing("nightsafe.sealing")
