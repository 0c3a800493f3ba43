"""Copies of the files of TLS in memory, which stay as they are when somebody writes to the files."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from nightsafe.cli.tls.files import Tls
from nightsafe.sealing import files


class Copies:
    """What the files of TLS hold, under paths that lead this process there, and one that is given the descriptors."""

    def __init__(self) -> None:
        self._descriptors: Final[dict[str, int]] = {}

    @property
    def descriptors(self) -> Iterable[int]:
        """What a child process must inherit for the paths to lead it there too."""
        return self._descriptors.values()

    def take(self, tls: Tls) -> Tls:
        """Copy the files as they are now, over what was copied before; gives the copies' paths.

        Raises:
            NightsafeError: INVALID, when one cannot be read.
        """
        held = msgspec.structs.asdict(tls)
        read = {name: files.read(path, private=name == "key") for name, path in held.items() if path is not None}
        return Tls(**{name: self._keep(name, data) for name, data in read.items()})

    def reserve(self) -> None:
        """Make room for each file. A confined process cannot: it may not change a file's mode."""
        for name in Tls.__struct_fields__:
            self._keep(name, b"")

    def clear(self) -> None:
        """Forget what the files hold, and keep the room for them."""
        for descriptor in self._descriptors.values():
            os.ftruncate(descriptor, 0)

    def close(self) -> None:
        """Forget them."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _keep(self, name: str, data: bytes) -> Path:
        """Hold some bytes under a name."""
        if name not in self._descriptors:
            self._descriptors[name] = os.memfd_create(f"nightsafe-{name}")
            os.fchmod(self._descriptors[name], 0o600)
        descriptor = self._descriptors[name]
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)
        return Path(f"/proc/self/fd/{descriptor}")
