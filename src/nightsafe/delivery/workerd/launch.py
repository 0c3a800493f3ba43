"""Confines its process and then becomes workerd, which writes no core file and dies with its parent process.

`child.py` runs this as a separate program without site packages: `launch.py PARENT BINARY ARGUMENT…`. A function that
runs between fork and exec could not do this safely in a process with threads.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))

from nightsafe.confinement import landlock, seccomp
from nightsafe.confinement.process import DAC_READ_SEARCH, drop_capabilities

_PR_SET_PDEATHSIG = 1  # prctl(2)
_CONFIGURATION = ".capnp"
_IMPORTED = "--import-path="
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share", "/proc", "/sys", "/dev/null", "/dev/urandom")
_SETTINGS = ("ssl", "pki", "ca-certificates", "resolv.conf", "hosts", "host.conf", "nsswitch.conf", "gai.conf")
_MORE_SETTINGS = ("ld.so.cache", "localtime", "services", "protocols")
_ELSEWHERE = ("/run/systemd/resolve", "/nix/store")


def main(parent: int, command: list[str]) -> None:
    """Set the limits, then replace this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # the parent died before the signal was set
        sys.exit("the delivery process is gone")
    confine(command)
    os.execve(command[0], command, {})  # noqa: S606 - there is no shell


def confine(command: list[str]) -> None:
    """Give up the rights that the runtime does not need.

    It may read its own binary, its configuration and libraries, and write nothing. It may bind no port, because it
    inherits its listening sockets. The runtime's configuration limits the addresses that it may connect to.
    """
    binary = Path(command[0])
    configuration = [Path(word).resolve().parent for word in command if word.endswith(_CONFIGURATION)]
    configuration += [Path(word.removeprefix(_IMPORTED)) for word in command if word.startswith(_IMPORTED)]
    settings = (f"/etc/{name}" for name in (*_SETTINGS, *_MORE_SETTINGS))
    read = (*map(Path, (*_SYSTEM, *settings, *_ELSEWHERE)), *configuration)
    loaders = (path for folder in ("/lib64", "/lib") for path in Path(folder).glob("ld-*.so*"))
    drop_capabilities({DAC_READ_SEARCH})
    landlock.restrict(
        landlock.Allowed(read=read, write=(Path("/dev/null"),), run=(binary, *loaders), bind=(), connect=None)
    )
    seccomp.forbid(seccomp.NEVER, seccomp.no_further_ports)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
