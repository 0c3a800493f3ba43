"""Machines that the tests can cut off or end: network namespaces on a common switch.

`make test-failover` runs the tests in namespaces of processes, mounts and the network, so that nothing stays behind.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_IP: Final = shutil.which("ip") or "/usr/sbin/ip"
_SWITCH: Final = "switch"
_CLIENT: Final = "10.77.0.100/24"
_NOBODY: Final = pwd.getpwnam("nobody")
_AS_NOBODY: Final = (
    # The servers refuse to run as root. The capability lets this user reach files below root's home.
    *("setpriv", f"--reuid={_NOBODY.pw_uid}", f"--regid={_NOBODY.pw_gid}", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
)


class Machine:
    """A machine with an address, processes and a small disk.

    Args:
        number: 1 to 99.
        folder: a folder for the machine's disk, a file system of limited size, and for the logs of its processes.
        megabytes: the size of the disk.

    Attributes:
        name: the name.
        address: the address on the network.
        disk: the folder with the disk.
    """

    def __init__(self, number: int, folder: Path, megabytes: int) -> None:
        self.name: Final = f"m{number}"
        self.address: Final = f"10.77.0.{number}"
        self.disk: Final = folder / self.name
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", "name", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _run("ip", "link", "set", self.name, "master", _SWITCH, "up")
        _run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", self.name, "link", "set", device, "up")
        self.disk.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", self.name, str(self.disk))
        os.chown(self.disk, _NOBODY.pw_uid, _NOBODY.pw_gid)

    def start(
        self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None, *, as_root: bool = False
    ) -> None:
        """Start a process, whose output goes to a log of its name."""
        user = () if as_root else _AS_NOBODY
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [_IP, "netns", "exec", self.name, *user, *command],
                cwd=self.disk,
                env={**os.environ, "HOME": str(self.disk), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> Path:
        """Return the log of a process, which is not on the machine's disk."""
        return self.disk.parent / f"{self.name}-{name}.log"

    def runs(self, name: str) -> bool:
        """Return whether a process of this name runs."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """Kill a process that was started, and return when it has ended."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Kill all processes that were started."""
        for name in list(self._processes):
            self.kill(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process that was started."""
        self._processes[name].send_signal(number)

    def send_all(self, program: str, number: signal.Signals) -> None:
        """Send a signal to each process of a program on this machine, as nearly at once as possible."""
        listed = subprocess.run([_IP, "netns", "pids", self.name], capture_output=True, check=True).stdout
        for pid in [int(pid) for pid in listed.split() if _program(int(pid)) == program]:
            with suppress(ProcessLookupError):  # it has ended in the meantime
                os.kill(pid, number)

    def disconnect(self) -> None:
        """Cut the machine off from all others."""
        _run("ip", "link", "set", self.name, "down")

    def connect(self) -> None:
        """Undo `disconnect`."""
        _run("ip", "link", "set", self.name, "up")


def make_switch() -> None:
    """Make the network between the machines and this process.

    Raises:
        RuntimeError: when this process is in the network of the computer itself.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        raise RuntimeError("run these tests with make test-failover, which gives them a network of their own")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "name", _SWITCH, "type", "bridge")
    _run("ip", "address", "add", _CLIENT, "dev", _SWITCH)
    _run("ip", "link", "set", _SWITCH, "up")


def _program(pid: int) -> str:
    """Return the name of a process's program, or "" if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _run(*command: str) -> None:
    """Run a command that changes the network or mounts.

    Raises:
        RuntimeError: when it fails, with its errors.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
