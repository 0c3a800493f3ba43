"""Confines the API's process to the files and calls that serving needs, before it reads a key or takes a request."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

import nightsafe
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import resolve_links
from nightsafe.confinement import landlock, seccomp
from nightsafe.confinement.process import DAC_OVERRIDE, drop_capabilities
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite.engine.connection import store_error

if TYPE_CHECKING:
    import socket

    from nightsafe.cli.tls.reload_resources import ReloadResources

_log = structlog.get_logger()

_SYSTEM: Final = tuple(map(Path, ("/usr", "/lib", "/lib64", "/proc", "/sys", "/run/systemd/resolve")))
_SETTINGS: Final = (
    *("ssl", "pki", "ca-certificates", "crypto-policies", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "timezone", "locale.alias", "nsswitch.conf", "resolv.conf", "hosts", "host.conf", "gai.conf"),
    *("passwd", "group", "mime.types", "protocols", "services"),
)
"""The files and directories of /etc that the API's process may read."""
_DEVICES: Final = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")))
_PARTS: Final = ("", "-wal", "-shm")
_NAME_SERVER: Final = 53
_NO_SOCKETS: Final = (
    "nightsafe run does not let the API's process use Unix sockets, because those of delivery are on this machine:"
    " name the database's server by 127.0.0.1 in the address"
)
_LOADERS: Final = (("/lib64", "ld-*.so*"), ("/lib", "ld-*.so*"), ("/lib", "*-linux-*/ld-*.so*"))
"""Folders and patterns of the program loaders, which the kernel runs to start a program."""
_MISSING_REASON: Final = (
    "an attacker who took this process over could do this; a newer Linux with Landlock enabled prevents all of it"
)


class Confinement:
    """The confinement of the API's process.

    Args:
        directory: the safe's data directory.
        files: further files that the process may read.
        beside_delivery: whether the private ring may be on this machine. If so, the process may read only the files
            that serving needs.

    Raises:
        NightsafeError: INVALID, if the database is reached by a Unix socket, and delivery runs beside the process.
    """

    def __init__(self, directory: DataDirectory, files: tuple[Path, ...], *, beside_delivery: bool) -> None:
        self._directory: Final = directory
        if beside_delivery and directory.address is not None and directory.address.has_sockets:
            raise NightsafeError(Code.INVALID, _NO_SOCKETS)
        self._readable_paths: Final = readable_paths(directory, files) if beside_delivery else None
        self._version = 0
        self._filtered = False

    @contextmanager
    def hold_database_open(self) -> Iterator[None]:
        """Hold a connection to a database file, so that its files exist and the rules can name them.

        Raises:
            NightsafeError: STORE, if the database cannot be opened; INVALID, as for `DataDirectory.check`.
        """
        self._directory.check()
        if self._directory.address is not None:
            yield
            return
        path = self._directory.database
        try:
            anchor = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            with closing(anchor):
                anchor.execute("PRAGMA journal_mode = WAL").fetchone()
                anchor.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield
        except sqlite3.Error as error:
            raise store_error(error, path) from error

    def confine(
        self, listener: "socket.socket", spare: "ReloadResources | None", written_files: tuple[Path, ...]
    ) -> None:
        """Confine this process for good. No other thread may be running.

        Args:
            listener: the socket that requests come in at.
            spare: the resources for testing new certificates, or None without TLS.
            written_files: files beside the database that the process writes.
        """
        trial_ports = () if spare is None else (spare.port,)
        allowed = landlock.Allowed(
            read=self._readable_paths,
            write=(*self._database_files(), *written_files, _DEVICES[0]),
            run=(Path(sys.executable).resolve(), *_loaders()),
            bind=trial_ports,
            connect=(*trial_ports, int(listener.getsockname()[1]), *self._database_ports()),
        )
        drop_capabilities({DAC_OVERRIDE})
        self._version = landlock.restrict(allowed)
        rules = (
            partial(seccomp.only_tcp, unix=self._has_sockets()),
            *(() if spare else (seccomp.no_further_ports,)),
        )  # testing a certificate needs a listening port
        self._filtered = seccomp.forbid(seccomp.NEVER, *rules)

    def _database_files(self) -> tuple[Path, ...]:
        """Return the files of a database that is a file."""
        if self._directory.address is not None:
            return ()
        database = self._directory.database
        return tuple(database.with_name(f"{database.name}{part}") for part in _PARTS)

    def _database_ports(self) -> tuple[int, ...]:
        """Return the ports of a database server, and of name servers if its name must be looked up.

        This process may use TCP only, so it asks name servers by TCP: resolv.conf(5).
        """
        address = self._directory.address
        if address is None:
            return ()
        if not address.has_names:
            return address.ports
        os.environ["RES_OPTIONS"] = f"{os.environ.get('RES_OPTIONS', '')} use-vc".strip()
        return (*address.ports, _NAME_SERVER)

    def _has_sockets(self) -> bool:
        """Return whether the database server is reached by a Unix socket."""
        return self._directory.address is not None and self._directory.address.has_sockets

    def log_missing(self) -> None:
        """Log the restrictions that this machine does not support, if any."""
        missing = list(landlock.unsupported(self._version))
        if not self._filtered:
            missing.append("system calls")
        if missing:
            _log.warning("api.not_confined", landlock=self._version, not_kept_from=missing, reason=_MISSING_REASON)


def readable_paths(directory: DataDirectory, files: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """Return the files and directories that the API's process reads, without the database."""
    return (*network_files(), *_code_folders(), directory.public_ring.parent, *files)


def network_files() -> tuple[Path, ...]:
    """Return the files and directories of the system that serve to look up hosts, and to load the code for that."""
    return (*_SYSTEM, *(Path("/etc") / name for name in _SETTINGS), *_DEVICES)


def refuse_readable_ring(ring: Path, directory: DataDirectory) -> None:
    """Refuse a private ring in a directory that the API's process must be able to read.

    Raises:
        NightsafeError: INVALID, with both paths and the solution.
    """
    for tree in readable_paths(directory):
        if resolve_links(ring).is_relative_to(resolve_links(tree)):
            raise NightsafeError(
                Code.INVALID,
                f"{ring} is inside {tree}, which the API's process must be able to read; move the private ring and "
                "give its new path with --private-ring, or move the whole safe",
            )


def _code_folders() -> Iterator[Path]:
    """Yield the directories of the program and its libraries."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(nightsafe.__file__).parent)
    working_directory = Path.cwd()  # `python -m` searches it first, but no library is there
    yield from (Path(entry) for entry in sys.path if entry and Path(entry) != working_directory)


def _loaders() -> Iterator[Path]:
    """Yield the program loaders."""
    for folder, pattern in _LOADERS:
        yield from Path(folder).glob(pattern)
