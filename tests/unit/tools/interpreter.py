"""Imports in a new interpreter."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def loaded_by(statement: str) -> set[str]:
    """Return every module that a new interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())
