"""The file of known rings: one ring for each server and account, in readable text, like SSH's known hosts.

A line has the server's base URL, the account, the ring's number, the digest of its primary key, and the key that
signs the next ring (`-` if the ring does not name one). The last two are in base64. Lines that begin with `#` are
kept. To make the client forget a ring, delete its line.
"""

import base64
import binascii
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from nightsafe.client.settings import KNOWN_RINGS
from nightsafe.sealing.rings.lineage import Identity
from nightsafe.user_folder import untrusted_file_reason, untrusted_folder_reason, user_folder

IN_MEMORY: Final = ":memory:"
_NAME: Final = "known-rings"
_HOMELESS: Final = "there is no home directory"
_HEAD: Final = (
    "# Rings that values were sealed to: server, account, number, primary key, signer. See docs/client.md.\n"
)
_MAX_BYTES: Final = 1 << 20
_PARTS: Final = 5
_BYTES: Final = 32
_LARGEST: Final = 1 << 53
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RingOwner(NamedTuple):
    """The server and account that a ring belongs to."""

    server: str
    """The base URL."""
    account: str
    """The account's id."""


class UnusableError(Exception):
    """The file exists but cannot be trusted. The message gives the reason."""


class CannotKeepError(Exception):
    """The file cannot be read or written. The message gives the reason."""


ChooseRing = Callable[[Identity | None], Identity]
"""Returns the ring to remember, given the known ring. Raises an error when the new ring does not follow from it."""


class KnownRings:
    """The file of known rings.

    Args:
        path: the path of the file; None when the user has no home directory for it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Final = path

    def get(self, owner: RingOwner) -> Identity | None:
        """Return the remembered ring, or None.

        Raises:
            UnusableError: when the file cannot be trusted.
            CannotKeepError: when the file cannot be read.
        """
        if self.path is None:
            raise CannotKeepError(_HOMELESS)
        return _find(self._lines(self.path), owner)

    def remember(self, owner: RingOwner, choose_ring: ChooseRing) -> Identity:
        """Remember the ring that `choose_ring` returns. `choose_ring` gets the ring that is now in the file.

        Raises:
            UnusableError: when the file cannot be trusted.
            CannotKeepError: when the file cannot be written.
        """
        with self._locked_lines() as (path, lines):
            known = _find(lines, owner)
            ring = choose_ring(known)
            if ring != known:
                kept = [line for line in lines if not _is_line_of(line, owner)] or [_HEAD]
                _write(path, "".join([*kept, _line(owner, ring)]))
        return ring

    def forget(self, owner: RingOwner) -> bool:
        """Forget a ring. Return whether one was remembered.

        Raises:
            UnusableError: when the file cannot be trusted.
            CannotKeepError: when the file cannot be written.
        """
        with self._locked_lines() as (path, lines):
            kept = [line for line in lines if not _is_line_of(line, owner)]
            if len(kept) < len(lines):
                _write(path, "".join(kept))
        return len(kept) < len(lines)

    @contextmanager
    def _locked_lines(self) -> Iterator[tuple[Path, list[str]]]:
        """Lock the file for a change. Give its real path and its lines."""
        if self.path is None:
            raise CannotKeepError(_HOMELESS)
        path = Path(os.path.realpath(self.path))
        with _locked(path):
            yield path, self._lines(path)

    def _lines(self, path: Path) -> list[str]:
        """Return the file's lines; an empty list when the file does not exist."""
        try:
            with os.fdopen(os.open(path, _READ), "rb") as file:
                problem = untrusted_file_reason(path, file.fileno())
                content = file.read(_MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise CannotKeepError(f"{path} cannot be read: {error.strerror}") from None
        except OSError as error:
            raise UnusableError(f"{path} cannot be read: {error.strerror}") from None
        if problem is not None:
            raise UnusableError(problem)
        if len(content) > _MAX_BYTES:
            raise UnusableError(f"{path} is too large")
        try:
            return [f"{line}\n" for line in content.decode().splitlines()]
        except UnicodeDecodeError:
            raise UnusableError(f"{path} is not text") from None


def known_rings(file: str | None) -> KnownRings | None:
    """Return the named file, else the file in the environment, else the user's default; None for `:memory:`."""
    path = file or os.environ.get(KNOWN_RINGS) or None
    if path == IN_MEMORY:
        return None
    if path is not None:
        return KnownRings(Path(path).absolute())
    folder = user_folder()
    return KnownRings(None if folder is None else folder / _NAME)


def _is_line_of(line: str, owner: RingOwner) -> bool:
    """Tell whether a line is about the ring of a server and account."""
    return line.split()[:2] == list(owner)


def _find(lines: list[str], owner: RingOwner) -> Identity | None:
    """Return the ring of a server and account in the lines, or None."""
    matches = [line for line in lines if _is_line_of(line, owner)]
    if not matches:
        return None
    if len(matches) > 1:
        raise UnusableError(f"there are several lines for {owner.server} {owner.account}")
    identity = _parse_fields(matches[0].split())
    if identity is None:
        raise UnusableError(f"the line for {owner.server} {owner.account} is damaged")
    return identity


def _parse_fields(parts: list[str]) -> Identity | None:
    """Parse the fields of a line; None when they are invalid."""
    if len(parts) != _PARTS or not (parts[2].isascii() and parts[2].isdigit()) or int(parts[2][:20]) > _LARGEST:
        return None
    try:
        primary = base64.b64decode(parts[3], validate=True)
        signer = b"" if parts[4] == "-" else base64.b64decode(parts[4], validate=True)
    except binascii.Error:
        return None
    if len(primary) != _BYTES or len(signer) not in {0, _BYTES}:
        return None
    return Identity(int(parts[2]), primary, signer)


def _line(owner: RingOwner, ring: Identity) -> str:
    """Return one line."""
    signer = base64.b64encode(ring.signer).decode() or "-"
    return f"{owner.server} {owner.account} {ring.number} {base64.b64encode(ring.primary).decode()} {signer}\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the file against changes by other processes. Make its directory if needed, for its owner alone."""
    try:
        _make_folder(path.parent)
        problem = untrusted_folder_reason(path)
        descriptor = os.open(path.with_name(f".{path.name}.lock"), _LOCK, 0o600)
    except OSError as error:
        raise CannotKeepError(f"{path} cannot be written: {error.strerror}") from None
    try:
        if problem is not None:
            raise UnusableError(problem)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a directory and its parents, each for its owner alone, even with a more open umask."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: str) -> None:
    """Replace the whole file atomically."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(temporary, _NEW, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CannotKeepError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
