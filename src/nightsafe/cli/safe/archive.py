"""The format of a backup: a tar archive with a manifest first, then the database and the key files, unaltered.

manifest.json                format, time, and the size and SHA-256 of each file
nightsafe.db                 a consistent copy; it contains the secrets as they are stored, sealed
keys/public-ring.json        the keys that values are sealed to
keys/signing-key.json        the key that signs records
keys/verify-keys.json        the keys that verify signatures
keys/identity-key.json       the key that authenticates tokens and users; not in a backup of a safe from before it
delivery/private-ring.json   the keys that open every value: only with --with-private-ring
"""

import hashlib
import io
import os
import sys
import tarfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec

from nightsafe import __version__
from nightsafe.cli.terminal.errors import CommandError

FORMAT: Final = "nightsafe-backup/1"
DATABASE: Final = "nightsafe.db"
PRIVATE_RING: Final = "delivery/private-ring.json"
IDENTITY_KEY: Final = "keys/identity-key.json"
NEEDED: Final = (DATABASE, "keys/public-ring.json", "keys/signing-key.json", "keys/verify-keys.json")
STREAM: Final = Path("-")
"""The path that stands for standard output or standard input."""
_MANIFEST: Final = "manifest.json"
_READABLE: Final = ("keys/public-ring.json", "keys/verify-keys.json")
_MAX_MANIFEST_BYTES: Final = 64 * 1024
_CHUNK: Final = 1024 * 1024

ProgressCallback = Callable[[int], None]
"""A function that takes the number of bytes processed since its last call."""


Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
UnixTime = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970 UTC, up to the year 9999."""
PrintableText = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,64}\Z")]
"""Text that is safe to print: no space and no control character."""
CountName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z_]{1,32}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ArchivedFile(msgspec.Struct, frozen=True):
    """One file of an archive."""

    size: Number
    sha256: Digest


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of an archive.

    Attributes:
        format: `FORMAT`.
        made_on: time of the backup, in seconds since 1970 UTC.
        nightsafe: version of the program that made it.
        schema: schema version of the database.
        counts: numbers of accounts, scripts and secrets, for people.
        files: the files, by name.
    """

    format: PrintableText
    made_on: UnixTime
    nightsafe: PrintableText
    schema: Number
    counts: Annotated[dict[CountName, Number], msgspec.Meta(max_length=32)]
    files: Annotated[dict[PrintableText, ArchivedFile], msgspec.Meta(max_length=32)]

    @property
    def size(self) -> int:
        """The total size of the files, in bytes."""
        return sum(entry.size for entry in self.files.values())


def new_manifest(files: dict[str, Path], schema: int, counts: dict[str, int]) -> Manifest:
    """Return a manifest of files, given by their names in the archive."""
    entries = {name: ArchivedFile(path.stat().st_size, _digest(path)) for name, path in files.items()}
    return Manifest(
        format=FORMAT, made_on=int(time.time()), nightsafe=__version__, schema=schema, counts=counts, files=entries
    )


def write_archive(out: IO[bytes], manifest: Manifest, files: dict[str, Path], report: ProgressCallback) -> None:
    """Write an archive to an open file or a pipe."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        archive.addfile(_member(_MANIFEST, len(encoded), manifest.made_on), io.BytesIO(encoded))
        for name, path in files.items():
            with path.open("rb") as file:
                archive.addfile(
                    _member(name, manifest.files[name].size, manifest.made_on), _CountingReader(file, report)
                )


def read_archive(
    path: Path,
    into: Path,
    start_report: Callable[[Manifest], ProgressCallback],
    names: Collection[str] | None = None,
) -> Manifest:
    """Unpack an archive into an empty directory. Only files that the manifest names are written, with fixed modes.

    Args:
        path: the archive.
        into: the directory.
        start_report: takes the manifest, and returns a function that takes the progress.
        names: the files to unpack; None for all. Other files are skipped and not checked.

    Raises:
        CommandError: if it is not a backup, is damaged, or is from a newer program.
    """
    try:
        with _opened(path) as archive:
            members = iter(archive)
            manifest = _read_manifest(archive, members, path)
            report = start_report(manifest)
            for name, entry in manifest.files.items():
                member = next(members, None)
                if names is None or name in names:
                    _unpack(archive, member, name, entry, into, report)
            if next(members, None) is not None:
                raise CommandError(f"{path} contains more than its manifest names, so it is not used")
    except OSError as error:
        raise CommandError(f"{path} cannot be unpacked: {error.strerror or 'it ends early'}") from None
    except tarfile.TarError:
        raise CommandError(f"{path} is not a backup, or is damaged") from None
    return manifest


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive in a file or on standard input."""
    if path == STREAM:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            yield archive
    else:
        with path.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as archive:
            yield archive


def _read_manifest(archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], path: Path) -> Manifest:
    """Read the first member, which must be the manifest."""
    first = next(members, None)
    file = archive.extractfile(first) if first is not None and first.isreg() and first.name == _MANIFEST else None
    try:
        manifest = msgspec.json.decode(b"" if file is None else file.read(_MAX_MANIFEST_BYTES), type=Manifest)
    except msgspec.ValidationError as error:  # its message names types and fields, never content
        raise CommandError(f"{path} is not a backup: its manifest is invalid ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CommandError(f"{path} is not a backup: it has no manifest") from None
    if manifest.format != FORMAT:
        raise CommandError(f"{path} has the format {manifest.format!r}; this program supports {FORMAT}")
    names = set(manifest.files)
    if not set(NEEDED) <= names or names - {*NEEDED, IDENTITY_KEY, PRIVATE_RING}:
        raise CommandError(
            f"{path} lacks a file that a safe needs, or contains a file that does not belong to a safe"
        )
    return manifest


def _unpack(  # noqa: PLR0913, PLR0917 - a member and its entry in the manifest
    archive: tarfile.TarFile,
    member: tarfile.TarInfo | None,
    name: str,
    entry: ArchivedFile,
    into: Path,
    report: ProgressCallback,
) -> None:
    """Unpack one file and compare it with the manifest."""
    file = archive.extractfile(member) if member is not None and member.isreg() and member.name == name else None
    if file is None:
        raise CommandError(f"{name} is not at its place in the archive")
    target = into / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        target.chmod(0o644 if name in _READABLE else 0o600)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
            report(len(chunk))
        out.flush()
        os.fsync(out.fileno())
    if (size, digest.hexdigest()) != (entry.size, entry.sha256):
        raise CommandError(f"{name} is damaged: its size or SHA-256 differs from the manifest")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(name: str, size: int, made_on: int) -> tarfile.TarInfo:
    """Return the header of a regular file without an owner."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, made_on, 0o600
    return member


class _CountingReader(io.RawIOBase):
    """A file that reports how many bytes were read."""

    def __init__(self, file: IO[bytes], report: ProgressCallback) -> None:
        super().__init__()
        self._file = file
        self._report = report

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes and report their number."""
        chunk = self._file.read(size)
        self._report(len(chunk))
        return chunk
