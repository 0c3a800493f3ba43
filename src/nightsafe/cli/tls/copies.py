"""Copies of the TLS files in memory, which do not change when the files do."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from nightsafe.cli.tls.files import TlsFiles
from nightsafe.sealing import files


class TlsCopies:
    """Copies of the TLS files. Their paths work in this process and in a child that inherits the descriptors."""

    def __init__(self) -> None:
        self._descriptors: Final[dict[str, int]] = {}

    @property
    def descriptors(self) -> Iterable[int]:
        """The descriptors that a child process must inherit to use the paths."""
        return self._descriptors.values()

    def copy(self, tls: TlsFiles) -> TlsFiles:
        """Copy the current files over the earlier copies. Return the paths of the copies.

        Raises:
            NightsafeError: INVALID, if a file cannot be read.
        """
        paths = msgspec.structs.asdict(tls)
        contents = {name: files.read(path, private=name == "key") for name, path in paths.items() if path is not None}
        return TlsFiles(**{name: self._write(name, data) for name, data in contents.items()})

    def reserve(self) -> None:
        """Create an empty copy for each file. A confined process could not, as it may not change a file's mode."""
        for name in TlsFiles.__struct_fields__:
            self._write(name, b"")

    def clear(self) -> None:
        """Empty the copies, and keep them for later."""
        for descriptor in self._descriptors.values():
            os.ftruncate(descriptor, 0)

    def close(self) -> None:
        """Close the copies."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _write(self, name: str, data: bytes) -> Path:
        """Write bytes to the copy of this name. Return its path."""
        if name not in self._descriptors:
            self._descriptors[name] = os.memfd_create(f"nightsafe-{name}")
            os.fchmod(self._descriptors[name], 0o600)
        descriptor = self._descriptors[name]
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)
        return Path(f"/proc/self/fd/{descriptor}")
