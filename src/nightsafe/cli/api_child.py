"""The API's process beside a delivery process: it ends with that one, and cannot read the private ring.

`nightsafe run` runs `python -m nightsafe.cli.api_child PARENT SOCKET serve …`: a process id, the number of a
descriptor that listens, then a command line.
"""

import ctypes
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nightsafe

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run/systemd/resolve")
_PARTS: Final = ("", "-wal", "-shm")
_FILES: Final = ("--tls-cert", "--tls-key", "--tls-client-ca")


def main(parent: int, listener: int, arguments: list[str]) -> None:
    """Be tied to the parent, give up what is not needed, and serve."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before that took hold
        sys.exit("the delivery process is gone")
    data = Path(_value(arguments, "--data"))
    try:
        anchor = _open_database(data)
    except sqlite3.Error as error:
        sys.exit(f"nightsafe: {data / 'nightsafe.db'} cannot be opened: {error}")
    _confine(data, [Path(_value(arguments, flag)) for flag in _FILES if flag in arguments])
    sys.argv = ["nightsafe", *arguments]
    from nightsafe.cli.main import main as command  # noqa: PLC0415 - from here on as any other

    try:
        command(socket.socket(fileno=listener))
    finally:
        anchor.close()


def _value(arguments: list[str], flag: str) -> str:
    """What stands after a flag."""
    return arguments[arguments.index(flag) + 1]


def _open_database(data: Path) -> sqlite3.Connection:
    """A connection that keeps the database's files in being, so that they can be named in what may be read."""
    database = sqlite3.connect(f"{(data / 'nightsafe.db').absolute().as_uri()}?mode=rw", uri=True)
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return database


def _confine(data: Path, files: list[Path]) -> None:
    """Be able to read what serving takes, and not the delivery side's directory."""
    from nightsafe.cli.landlock import read_only_from  # noqa: PLC0415 - only here

    hidden = (data / "delivery").resolve()
    code = [path for path in _code() if not hidden.is_relative_to(path.resolve())]
    own = [data / f"nightsafe.db{part}" for part in _PARTS]
    if not read_only_from([*map(Path, _SYSTEM), *code, *own, data / "keys", *files]):
        sys.stderr.write("nightsafe: this system has no Landlock, so the API's process could read the private ring\n")


def _code() -> Iterator[Path]:
    """Where the program and its libraries are."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(nightsafe.__file__).parent)
    yield from (Path(entry) for entry in sys.path if entry)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
