"""The protection of the process that opens values."""

import subprocess
import sys

CODE = """
import ctypes, resource
from nightsafe.delivery.process_memory import protect_process
protect_process()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_a_protected_process_leaves_no_core_file() -> None:
    """A protected process leaves no core file and is not dumpable (prctl(2), PR_GET_DUMPABLE)."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert done.stdout == "(0, 0) 0\n"
