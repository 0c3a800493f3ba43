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
"""The options that wrangler's own start script gives Node."""

_COMMANDS_PER_PROCESS = 12
"""The number of commands of one process, since each leaves its bundle of 60 MB in memory."""


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
        """Run one command to its end, as `subprocess.run` does with captured output.

        Args:
            arguments: the words after `wrangler`.
            cwd: the working directory.
            environ: the whole environment.
            stdin: the standard input.
            seconds: the time after which the process is killed.

        Raises:
            subprocess.TimeoutExpired: the process was killed.
        """
        order = {"arguments": arguments, "cwd": str(cwd), "env": dict(environ), "stdin": stdin}
        with self._turn:
            line = self._ask(json.dumps(order).encode() + b"\n", seconds)
        result = json.loads(line)
        return subprocess.CompletedProcess(arguments, result["code"], result["out"], result["err"])

    def _ask(self, order: bytes, seconds: float) -> bytes:
        """Send a line and return the line that comes back."""
        if self._count % _COMMANDS_PER_PROCESS == 0:
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
        """Start Node in a folder that no test removes."""
        return subprocess.Popen(
            self._command, cwd=tempfile.gettempdir(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _end(self) -> None:
        """Close the process's standard input and wait until it exits."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@functools.cache
def warm(node: str, package: Path) -> WarmWrangler:
    """Return the process of a version."""
    return WarmWrangler(node, package)
