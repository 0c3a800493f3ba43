"""How a load is put together: four bytes with the length of a head in JSON, the head, the bytes it points into.

Values are only ever among those bytes, in a buffer that whoever sends it wipes. `runtime/loads.js` reads it.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightsafe.bundle.compatibility import LOST, RESERVED

Place = tuple[int, int]


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


@dataclass(slots=True)
class Frame:
    """A load in the making.

    Attributes:
        modules: names, kinds and places of modules.
        env: names, kinds and places of what stands in `env`.
        keys: what is imported with `crypto.subtle.importKey` before the script runs.
        stored: secrets of stores, which become objects before the script runs.
        body: the bytes that places are in.
    """

    modules: list[dict[str, Any]] = field(default_factory=list)
    env: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def raw(self) -> bool:
        """Whether there is anything that `runtime/shim.js` has to make before the script runs."""
        return bool(self.keys or self.stored or any(item["name"] == LOST for item in self.env))

    def place(self, data: bytes) -> Place:
        """Where the bytes lie that are put at the end of the body."""
        at = len(self.body)
        self.body += data
        return at, len(data)

    def add_module(self, name: str, kind: str, data: bytes) -> None:
        """One more module."""
        self.modules.append({"name": name, "kind": kind, "place": self.place(data)})

    def add_env(self, name: str, kind: str, data: bytes) -> None:
        """One more thing in `env`."""
        self.env.append({"name": name, "kind": kind, "place": self.place(data)})

    def pack(self, **head: Any) -> bytearray:
        """The whole load, with further members of the head; the buffer it was made in is wiped."""
        env = [item for item in self.env if item["name"] != LOST]
        if self.raw:
            lost = [item for item in self.env if item["name"] == LOST]
            env.append({"name": RESERVED, "kind": "raw", "keys": self.keys, "stored": self.stored, "lost": lost})
        encoded = msgspec.json.encode({**head, "modules": self.modules, "env": env})
        packed = bytearray(len(encoded).to_bytes(4, "big") + encoded)
        packed += self.body
        wipe(self.body)
        return packed
