"""What the API's process can reach: it keeps itself from all else before it has read a key or answered a request."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

import nightsafe
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import real
from nightsafe.confining import landlock, seccomp
from nightsafe.confining.process import DAC_OVERRIDE, drop_capabilities
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite.engine.connection import store_error

if TYPE_CHECKING:
    import socket

    from nightsafe.cli.tls.spare import Spare

_log = structlog.get_logger()

_SYSTEM: Final = tuple(map(Path, ("/usr", "/lib", "/lib64", "/proc", "/sys", "/run/systemd/resolve")))
_SETTINGS: Final = (
    *("ssl", "pki", "ca-certificates", "crypto-policies", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "timezone", "locale.alias", "nsswitch.conf", "resolv.conf", "hosts", "host.conf", "gai.conf"),
    *("passwd", "group", "mime.types", "protocols", "services"),
)
"""In /etc."""
_DEVICES: Final = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")))
_PARTS: Final = ("", "-wal", "-shm")
_LOADERS: Final = (("/lib64", "ld-*.so*"), ("/lib", "ld-*.so*"), ("/lib", "*-linux-*/ld-*.so*"))
"""Where the programs are that the kernel runs to load another."""
_WAY_OUT: Final = (
    "a process that was taken over could do this; a newer Linux, with Landlock switched on, keeps it from all"
)


class Confinement:
    """How the API's process confines itself.

    Args:
        directory: of the safe.
        files: further ones that it is given to read.
        beside_delivery: whether the private ring may be on this machine: then it reads only what serving takes.
    """

    def __init__(self, directory: DataDirectory, files: tuple[Path, ...], *, beside_delivery: bool) -> None:
        self._directory: Final = directory
        self._read: Final = readable(directory, files) if beside_delivery else None
        self._version = 0
        self._filtered = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the database's files in being, so that they can be named.

        Raises:
            NightsafeError: STORE, when it cannot be opened; INVALID, as `DataDirectory.check`.
        """
        self._directory.check()
        path = self._directory.database
        try:
            anchor = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            with closing(anchor):
                anchor.execute("PRAGMA journal_mode = WAL").fetchone()
                anchor.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield
        except sqlite3.Error as error:
            raise store_error(error, path) from error

    def confine(self, listener: "socket.socket", spare: "Spare | None", written: tuple[Path, ...]) -> None:
        """Give up for good what serving does not take. There must be no thread but this one.

        Args:
            listener: where requests come in.
            spare: what new certificates are tried out with.
            written: files beside the database that are written.
        """
        database, trial = self._directory.database, () if spare is None else (spare.port,)
        own = tuple(database.with_name(f"{database.name}{part}") for part in _PARTS)
        allowed = landlock.Allowed(
            read=self._read,
            write=(*own, *written, _DEVICES[0]),
            run=(Path(sys.executable).resolve(), *_loaders()),
            bind=trial,
            connect=(*trial, int(listener.getsockname()[1])),
        )
        drop_capabilities({DAC_OVERRIDE})
        self._version = landlock.restrict(allowed)
        rules = (seccomp.only_tcp, *(() if spare else (seccomp.no_further_ports,)))  # a trial has to listen
        self._filtered = seccomp.forbid(seccomp.NEVER, *rules)

    def tell(self) -> None:
        """Log what it could not be kept from, if anything."""
        missing = list(landlock.lacking(self._version))
        if not self._filtered:
            missing.append("system calls")
        if missing:
            _log.warning("api.not_confined", landlock=self._version, not_kept_from=missing, reason=_WAY_OUT)


def readable(directory: DataDirectory, files: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """What the API's process reads, beside the database: files and whole directories."""
    settings = (Path("/etc") / name for name in _SETTINGS)
    return (*_SYSTEM, *settings, *_DEVICES, *_code(), directory.public_ring.parent, *files)


def refuse_in_reach(ring: Path, directory: DataDirectory) -> None:
    """Refuse a private ring that the API's process could read, where it lies in what that must read.

    Raises:
        NightsafeError: INVALID, with both places and what to do.
    """
    for tree in readable(directory):
        if real(ring).is_relative_to(real(tree)):
            raise NightsafeError(
                Code.INVALID,
                f"{ring} lies in {tree}, which the API's process must be able to read; move it, and name where it is "
                "with --private-ring, or move the whole safe",
            )


def _code() -> Iterator[Path]:
    """Where the program and its libraries are."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(nightsafe.__file__).parent)
    here = Path.cwd()  # where `python -m` looks first, and no library is
    yield from (Path(entry) for entry in sys.path if entry and Path(entry) != here)


def _loaders() -> Iterator[Path]:
    """The programs that load others."""
    for folder, pattern in _LOADERS:
        yield from Path(folder).glob(pattern)
