"""wrangler commands, run one after another in one Node process for each version: see `wrangler.cjs`."""

import atexit
import functools
import json
import select
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

_SCRIPT = Path(__file__).with_name("wrangler.cjs")
_NODE_OPTIONS = ("--no-warnings", "--experimental-vm-modules")
"""The options that wrangler's own start gives Node."""

_MOST = 12
"""Commands of one process: the bundle of each stays in its memory, 60 MB."""


class WarmWrangler:
    """A Node process that has compiled the bundle of one version.

    Args:
        node: the path of Node.
        package: the folder of wrangler's package.
    """

    def __init__(self, node: str, package: Path) -> None:
        self._command = [node, *_NODE_OPTIONS, str(_SCRIPT), str(package / "wrangler-dist" / "cli.js")]
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        atexit.register(self._end)

    def run(
        self, *arguments: str, cwd: Path, environ: Mapping[str, str], stdin: str, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, as `subprocess.run` does with its output captured.

        Args:
            arguments: after `wrangler`.
            cwd: where it runs.
            environ: its whole environment.
            stdin: what it reads.
            seconds: the time after which the process is killed.

        Raises:
            subprocess.TimeoutExpired: when the process was killed.
        """
        order = {"arguments": arguments, "cwd": str(cwd), "env": dict(environ), "stdin": stdin}
        with self._turn:
            line = self._ask(json.dumps(order).encode() + b"\n", seconds)
        said = json.loads(line)
        return subprocess.CompletedProcess(arguments, said["code"], said["out"], said["err"])

    def _ask(self, order: bytes, seconds: float) -> bytes:
        """Send a line and give the line that comes back."""
        if self._count % _MOST == 0:
            self._end()
        self._count += 1
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], seconds)[0]:
            self._process = None
            process.kill()
            process.communicate()
            raise subprocess.TimeoutExpired(order.decode(), seconds)
        return process.stdout.readline()

    def _started(self) -> subprocess.Popen[bytes]:
        """Start Node, in a folder that no test removes."""
        return subprocess.Popen(
            self._command, cwd=tempfile.gettempdir(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _end(self) -> None:
        """End the process: it ends when no more commands can come."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@functools.cache
def warm(node: str, package: Path) -> WarmWrangler:
    """Give the process of a version."""
    return WarmWrangler(node, package)
