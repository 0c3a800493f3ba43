"""Packs a script's modules, with the modules of Nightsafe that run beside them."""

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
"""Modules that are loaded beside every script and run before it."""
_OWN: Final = {name: (_RUNTIME / f"{name}.js").read_bytes() for name in (*_ALWAYS, "shim", "classic")}
_MAIN: Final = f"{RESERVED}/main.js"
_SHEBANG: Final = b"#!"


class Modules:
    """Puts all modules of a version into a load that has its `env` already.

    Args:
        packing: the load.
        version: the version with the modules.
        files: the modules' contents, by name.
        compatibility: the date and flags that the load runs with.
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
        """Add all modules.

        Returns:
            The name of the entry module.
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
        """Add one file of a script that consists of modules."""
        source = self._files[name]
        if kind == "js":
            source = self._with_own(source, main=name == self._version.main_module)
        if kind:
            self._packing.add_module(name.lstrip("/"), kind, source)

    def _with_own(self, source: bytes, *, main: bool) -> bytes:
        """Return a module with imports of our modules before its source, on its first line to keep line numbers.

        The entry module exports the lifecycle. If the shim has anything to make, every module waits for it.
        """
        own = "".join([*(self._lifecycle() if main else []), *self._shim()])
        return own.encode() + (b"//" if own and source.startswith(_SHEBANG) else b"") + source

    def _starts_by_itself(self) -> bool:
        """Return whether the script's main module can export the lifecycle, as an ES module can."""
        kinds = {module.name: module_kind(module.content_type) for module in self._version.modules}
        return kinds[self._version.main_module] == "js"

    def _add_main(self) -> str:
        """Add an entry module for a script whose main module is not an ES module."""
        name = self.specifier(self._version.main_module)
        lines = [f"import * as script from {name};", f"export * from {name};", "export default script.default;"]
        return self._add_starter(lines)

    def _add_classic(self) -> str:
        """Add a classic script and the module that runs it.

        The script is added as text, because only evaluated code runs as a script.
        """
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
        """Return the files that a classic script receives as compiled modules, each with its binding's name."""
        wasm = [binding for binding in self._version.bindings if binding.kind == "wasm_module"]
        return {fields_of(binding)["part"]: binding.name for binding in wasm}

    def _add_starter(self, lines: list[str]) -> str:
        """Add an entry module that replaces the script's own; return its name."""
        own = [*self._lifecycle(), *self._shim()]
        self._packing.add_module(_MAIN, "js", "\n".join([*own, *lines]).encode())
        return _MAIN

    def _shim(self) -> list[str]:
        """Return the import that makes a module wait for the shim, if the shim has anything to make."""
        return [f"import {self._own('shim')};"] if self._packing.raw else []

    def _lifecycle(self) -> list[str]:
        """Return the first lines of the entry module, which let the dispatcher reach the isolate."""
        first = [f"import {self.specifier(self._first)};"] if self._first else []
        return [*first, f"export {{ NightsafeLifecycle }} from {self._own('lifecycle')};"]

    def _own(self, name: str) -> str:
        """Return the quoted specifier that imports one of our modules from anywhere."""
        return quoted(f"{self._root}{RESERVED}/{name}.js")

    def specifier(self, name: str) -> str:
        """Return the quoted specifier that imports a module of the script from anywhere."""
        return quoted(self._root + name.removeprefix("./").lstrip("/"))


def quoted(text: str) -> str:
    """Return a string as a JavaScript literal."""
    return msgspec.json.encode(text).decode()
