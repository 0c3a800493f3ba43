"""The rings that were seen, by server and account, in one file that people can read: like SSH's known hosts.

A line has the server's base URL, the account, the ring's number, the digest of its primary key and who signs the ring
after it (`-` where it did not say), the last two in base64. Lines that begin with `#` are left alone. Whoever wants a
ring forgotten deletes its line.
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
from nightsafe.user_folder import trouble_with, trouble_with_folders, user_folder

IN_MEMORY: Final = ":memory:"
_NAME: Final = "known-rings"
_HOMELESS: Final = "there is no home directory"
_HEAD: Final = (
    "# Rings that values were sealed to: server, account, number, primary key, signer. See docs/client.md.\n"
)
_MOST_BYTES: Final = 1 << 20
_PARTS: Final = 5
_BYTES: Final = 32
_LARGEST: Final = 1 << 53
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Whose(NamedTuple):
    """Whose ring it is."""

    server: str
    """The base URL."""
    account: str
    """The account's id."""


class UnusableError(Exception):
    """The file is there and cannot be believed; the message says why."""


class CannotKeepError(Exception):
    """There is no place to remember anything in; the message says why."""


Judge = Callable[[Identity | None], Identity]
"""Gives what to remember, told what was remembered so far; raises when that forbids it."""


class KnownRings:
    """The file.

    Args:
        path: where it is; None where there is no place for one.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Final = path

    def get(self, whose: Whose) -> Identity | None:
        """What is remembered.

        Raises:
            UnusableError: when the file cannot be believed.
            CannotKeepError: when it cannot be looked at.
        """
        if self.path is None:
            raise CannotKeepError(_HOMELESS)
        return _find(self._lines(self.path), whose)

    def keep(self, whose: Whose, judge: Judge) -> Identity:
        """Remember what a judge says, who is told what another process may have remembered meanwhile.

        Raises:
            UnusableError: when the file cannot be believed.
            CannotKeepError: when it cannot be written.
        """
        if self.path is None:
            raise CannotKeepError(_HOMELESS)
        path = Path(os.path.realpath(self.path))
        with _locked(path):
            lines = self._lines(path)
            known = _find(lines, whose)
            found = judge(known)
            if found != known:
                kept = [line for line in lines if not _is_of(line, whose)] or [_HEAD]
                _write(path, "".join([*kept, _line(whose, found)]))
        return found

    def forget(self, whose: Whose) -> bool:
        """Remember nothing of a ring any more; whether there was anything.

        Raises:
            UnusableError: when the file cannot be believed.
            CannotKeepError: when it cannot be written.
        """
        if self.path is None:
            raise CannotKeepError(_HOMELESS)
        path = Path(os.path.realpath(self.path))
        with _locked(path):
            lines = self._lines(path)
            kept = [line for line in lines if not _is_of(line, whose)]
            if len(kept) < len(lines):
                _write(path, "".join(kept))
        return len(kept) < len(lines)

    def _lines(self, path: Path) -> list[str]:
        """The file's lines; none when there is no file."""
        try:
            with os.fdopen(os.open(path, _READ), "rb") as file:
                wrong = trouble_with(path, file.fileno())
                content = file.read(_MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise CannotKeepError(f"{path} cannot be read: {error.strerror}") from None
        except OSError as error:
            raise UnusableError(f"{path} cannot be read: {error.strerror}") from None
        if wrong is not None:
            raise UnusableError(wrong)
        if len(content) > _MOST_BYTES:
            raise UnusableError(f"{path} is too large")
        try:
            return [f"{line}\n" for line in content.decode().splitlines()]
        except UnicodeDecodeError:
            raise UnusableError(f"{path} is not text") from None


def known_rings(named: str | None) -> KnownRings | None:
    """The file that was named, else the environment's, else the user's own; None when memory is enough."""
    found = named or os.environ.get(KNOWN_RINGS) or None
    if found == IN_MEMORY:
        return None
    if found is not None:
        return KnownRings(Path(found).absolute())
    folder = user_folder()
    return KnownRings(None if folder is None else folder / _NAME)


def _is_of(line: str, whose: Whose) -> bool:
    """Whether a line is about a ring."""
    return line.split()[:2] == list(whose)


def _find(lines: list[str], whose: Whose) -> Identity | None:
    """What the lines say of a ring."""
    found = [line for line in lines if _is_of(line, whose)]
    if not found:
        return None
    if len(found) > 1:
        raise UnusableError(f"there are several lines of {whose.server} {whose.account}")
    identity = _parsed(found[0].split())
    if identity is None:
        raise UnusableError(f"the line of {whose.server} {whose.account} is damaged")
    return identity


def _parsed(parts: list[str]) -> Identity | None:
    """A line, taken apart; None when it is none."""
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


def _line(whose: Whose, ring: Identity) -> str:
    """One line."""
    signer = base64.b64encode(ring.signer).decode() or "-"
    return f"{whose.server} {whose.account} {ring.number} {base64.b64encode(ring.primary).decode()} {signer}\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """While no other process changes the file; its directory is made, for its owner alone."""
    try:
        _make_folder(path.parent)
        wrong = trouble_with_folders(path)
        descriptor = os.open(path.with_name(f".{path.name}.lock"), _LOCK, 0o600)
    except OSError as error:
        raise CannotKeepError(f"{path} cannot be written: {error.strerror}") from None
    try:
        if wrong is not None:
            raise UnusableError(wrong)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a directory with those above it, each for its owner alone, whatever the process's mask."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: str) -> None:
    """Replace the file whole."""
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(beside, _NEW, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise CannotKeepError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
