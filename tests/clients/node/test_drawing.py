"""The drawings of docs/architecture.md agree with docs/architecture.dot."""

import subprocess
from pathlib import Path

from tests.clients.node.tools import need_node

ROOT = Path(__file__).parents[3]


def test_the_drawings_match_their_source() -> None:
    """Both drawings equal the output of their text source."""
    done = subprocess.run(
        [need_node(), "tools/draw.mjs", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "" == done.stderr
    assert 0 == done.returncode
