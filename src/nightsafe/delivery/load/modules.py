"""A script's modules, and those that are loaded beside them."""

from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Final
from urllib.parse import quote

import msgspec

from nightsafe.bundle.compatibility import RESERVED, fields_of, module_kind
from nightsafe.bundle.model import BundleVersion
from nightsafe.delivery.load.compatibility import Compatibility
from nightsafe.delivery.load.frame import Frame

_RUNTIME: Final = resources("nightsafe.delivery") / "runtime"
_ALWAYS: Final = ("work", "freshness", "ranges", "cache", "cf", "lifecycle")
"""What is loaded beside every script, and runs before it."""
_OWN: Final = {name: (_RUNTIME / f"{name}.js").read_bytes() for name in (*_ALWAYS, "shim", "classic")}
_MAIN: Final = f"{RESERVED}/main.js"
_SHEBANG: Final = b"#!"


class Modules:
    """Puts all modules of a version into a load that has its `env`.

    Args:
        packing: where they go.
        version: whose modules they are.
        files: their contents by name.
        compatibility: what the load is run with.
        first: name of a module to run before all others, or "".
    """

    def __init__(
        self,
        packing: Frame,
        version: BundleVersion,
        files: Mapping[str, bytes],
        compatibility: Compatibility,
        first: str = "",
    ) -> None:
        self._packing = packing
        self._version = version
        self._files = files
        self._root = compatibility.module_root
        self._first = first

    def add(self) -> str:
        """Add them.

        Returns:
            The name of the module that starts.
        """
        shim, classic = self._packing.raw, self._version.classic
        for name in [*_ALWAYS, *(["shim"] if shim else []), *(["classic"] if classic else [])]:
            self._packing.add_module(f"{RESERVED}/{name}.js", "js", _OWN[name])
        if self._version.classic:
            return self._add_classic()
        for module in self._version.modules:
            self._add_file(module.name, module_kind(module.content_type))
        return self._version.main_module.lstrip("/") if self._starts_by_itself() else self._add_main()

    def _add_file(self, name: str, kind: str) -> None:
        """One file of a script in modules."""
        source = self._files[name]
        if kind == "js":
            source = self._with_own(source, main=name == self._version.main_module)
        if kind:
            self._packing.add_module(name.lstrip("/"), kind, source)

    def _with_own(self, source: bytes, *, main: bool) -> bytes:
        """A module with ours before it, on its own first line so that lines keep their numbers.

        The one that starts exports the lifecycle; with something to make in the isolate, all wait for the shim.
        """
        own = "".join([*(self._lifecycle() if main else []), *self._shim()])
        return own.encode() + (b"//" if own and source.startswith(_SHEBANG) else b"") + source

    def _starts_by_itself(self) -> bool:
        """Whether the script's main module is one that can export the lifecycle."""
        kinds = {module.name: module_kind(module.content_type) for module in self._version.modules}
        return kinds[self._version.main_module] == "js"

    def _add_main(self) -> str:
        """A module that starts a script whose main module is no ES module."""
        name = self.specifier(self._version.main_module)
        lines = [f"import * as script from {name};", f"export * from {name};", "export default script.default;"]
        return self._add_starter(lines)

    def _add_classic(self) -> str:
        """A classic script and the module that runs it: as text, for only what is evaluated is run as a script."""
        script = self._version.main_module
        self._packing.add_module(script.lstrip("/"), "text", self._files[script])
        parts = self._parts()
        for part in parts:
            self._packing.add_module(part, "wasm", self._files[part])
        bound = (f"[{quoted(name)}]: part{at}" for at, name in enumerate(parts.values()))
        return self._add_starter(
            [
                f"import {{ run }} from {self._own('classic')};",
                f"import source from {self.specifier(script)};",
                *(f"import part{at} from {self.specifier(part)};" for at, part in enumerate(parts)),
                f"run({quoted(quote(script))}, source, {{ {', '.join(bound)} }});",
            ]
        )

    def _parts(self) -> dict[str, str]:
        """Files that a classic script has as compiled modules, each with its binding's name."""
        wasm = [binding for binding in self._version.bindings if binding.kind == "wasm_module"]
        return {fields_of(binding)["part"]: binding.name for binding in wasm}

    def _add_starter(self, lines: list[str]) -> str:
        """The module that starts in place of the script's; gives its name."""
        own = [*self._lifecycle(), *self._shim()]
        self._packing.add_module(_MAIN, "js", "\n".join([*own, *lines]).encode())
        return _MAIN

    def _shim(self) -> list[str]:
        """What makes a module wait for the shim, if it has anything to make."""
        return [f"import {self._own('shim')};"] if self._packing.raw else []

    def _lifecycle(self) -> list[str]:
        """What the module that starts begins with; it lets the dispatcher reach the isolate."""
        first = [f"import {self.specifier(self._first)};"] if self._first else []
        return [*first, f"export {{ NightsafeLifecycle }} from {self._own('lifecycle')};"]

    def _own(self, name: str) -> str:
        """What one of our modules is imported by, from anywhere."""
        return quoted(f"{self._root}{RESERVED}/{name}.js")

    def specifier(self, name: str) -> str:
        """What a module of the script is imported by, from anywhere."""
        return quoted(self._root + name.removeprefix("./").lstrip("/"))


def quoted(text: str) -> str:
    """A string as JavaScript has it."""
    return msgspec.json.encode(text).decode()
