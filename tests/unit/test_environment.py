"""The tests do not see the environment in which they are run."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENSITIVE = "tests/unit/cli/data_directory/test_places.py::test_an_address_that_others_could_write_is_not_used"
"""A test that fails when it sees a server in the environment."""
NONSENSE = "http://127.0.0.1:9/client/v4"


def exported() -> set[str]:
    """Return every variable that the README exports."""
    lines = re.findall(r"^export (.*)", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {name for line in lines for name in re.findall(r"([A-Z_]+)=", line)}


def test_exported_variables_do_not_affect_tests() -> None:
    """The README's variables and our own may have any value."""
    names = exported()
    assert {"CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"} <= names

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", SENSITIVE],
        cwd=ROOT,
        env=os.environ | dict.fromkeys({*names, "NIGHTSAFE_URL", "NIGHTSAFE_DATA"}, NONSENSE),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, True) == (done.returncode, "1 passed" in done.stdout), done.stdout + done.stderr


def test_no_client_variable_is_set_in_tests() -> None:
    """No variable of ours, of the official clients or of Vault is set, except that no ring is remembered."""
    assert [] == [
        name
        for name in os.environ
        if name.startswith(("NIGHTSAFE_", "CLOUDFLARE_", "WRANGLER_", "VAULT_")) and name != "NIGHTSAFE_KNOWN_RINGS"
    ]
