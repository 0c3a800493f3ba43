"""The layout of a load: the length of the head in four bytes, the head as JSON, the bytes that it points into.

Values are only in those bytes, in a buffer that its sender wipes. `runtime/dispatcher/loads.js` reads a load.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightsafe.bundle.compatibility import LOST_NAME, RESERVED

Span = tuple[int, int]


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


@dataclass(slots=True)
class Frame:
    """Builds a load.

    Attributes:
        modules: names, kinds and places of modules.
        env: names, kinds and places of the entries of `env`.
        keys: keys that `crypto.subtle.importKey` imports before the script runs.
        stored: secrets of stores, which become objects before the script runs.
        body: the bytes that the places refer to.
    """

    modules: list[dict[str, Any]] = field(default_factory=list)
    env: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def needs_shim(self) -> bool:
        """Whether `runtime/script/shim.js` has anything to make before the script runs."""
        return bool(self.keys or self.stored or any(item["name"] == LOST_NAME for item in self.env))

    def append(self, data: bytes) -> Span:
        """Append bytes to the body and return their place."""
        offset = len(self.body)
        self.body += data
        return offset, len(data)

    def add_module(self, name: str, kind: str, data: bytes) -> None:
        """Add a module."""
        self.modules.append({"name": name, "kind": kind, "place": self.append(data)})

    def add_env(self, name: str, kind: str, data: bytes) -> None:
        """Add an entry to `env`."""
        self.env.append({"name": name, "kind": kind, "place": self.append(data)})

    def pack(self, **head: Any) -> bytearray:
        """Return the whole load, with these members added to its head, and wipe `body`."""
        env = [item for item in self.env if item["name"] != LOST_NAME]
        if self.needs_shim:
            lost = [item for item in self.env if item["name"] == LOST_NAME]
            env.append({"name": RESERVED, "kind": "raw", "keys": self.keys, "stored": self.stored, "lost": lost})
        encoded = msgspec.json.encode({**head, "modules": self.modules, "env": env})
        packed = bytearray(len(encoded).to_bytes(4, "big") + encoded)
        packed += self.body
        wipe(self.body)
        return packed
