"""Becomes workerd: confined, without a core file, and dying with the process that started it.

Run as a program of its own, without site packages, by `child.py`: `launch.py PARENT BINARY ARGUMENT…`. A function
that runs between fork and exec could not do this safely in a process with threads.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))

from nightsafe.confining import landlock, seccomp
from nightsafe.confining.process import DAC_READ_SEARCH, drop_capabilities

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
    if os.getppid() != parent:  # it died before that took hold
        sys.exit("the delivery process is gone")
    confine(command)
    os.execve(command[0], command, {})  # noqa: S606 - there is no shell


def confine(command: list[str]) -> None:
    """Give up what the runtime does not take: it reads itself, its configuration and libraries, and writes nothing.

    It takes no port, for it inherits what it listens on; where it may connect to is the configuration's to say.
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
