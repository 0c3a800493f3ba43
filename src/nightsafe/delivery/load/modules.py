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

_SOURCES: Final = resources("nightsafe.delivery") / "runtime" / "script"
_ALWAYS_LOADED: Final = ("wait_until", "cache", "cf", "lifecycle")
"""Modules that are loaded beside every script and run before it."""
_OWN: Final = {name: (_SOURCES / f"{name}.js").read_bytes() for name in (*_ALWAYS_LOADED, "shim", "classic")}
_MAIN: Final = f"{RESERVED}/main.js"
_SHEBANG: Final = b"#!"


class Modules:
    """Puts all modules of a version into a load that has its `env` already.

    Args:
        frame: the load.
        version: the version with the modules.
        files: the modules' contents, by name.
        compatibility: the date and flags that the load runs with.
        first: name of a module to run before all others, or "".
    """

    def __init__(
        self,
        frame: Frame,
        version: BundleVersion,
        files: Mapping[str, bytes],
        compatibility: Compatibility,
        first: str = "",
    ) -> None:
        self._frame = frame
        self._version = version
        self._files = files
        self._root = compatibility.module_root
        self._first = first

    def add(self) -> str:
        """Add all modules.

        Returns:
            The name of the entry module.
        """
        shim, classic = self._frame.needs_shim, self._version.classic
        for name in [*_ALWAYS_LOADED, *(["shim"] if shim else []), *(["classic"] if classic else [])]:
            self._frame.add_module(f"{RESERVED}/{name}.js", "js", _OWN[name])
        if self._version.classic:
            return self._add_classic()
        for module in self._version.modules:
            self._add_file(module.name, module_kind(module.content_type))
        return self._version.main_module.lstrip("/") if self._main_is_es_module() else self._add_main()

    def _add_file(self, name: str, kind: str) -> None:
        """Add one file of a script that consists of modules."""
        source = self._files[name]
        if kind == "js":
            source = self._add_imports(source, main=name == self._version.main_module)
        if kind:
            self._frame.add_module(name.lstrip("/"), kind, source)

    def _add_imports(self, source: bytes, *, main: bool) -> bytes:
        """Return a module with imports of our modules before its source, on its first line to keep line numbers.

        The entry module exports the lifecycle. If the shim has anything to make, every module waits for it.
        """
        own = "".join([*(self._lifecycle_lines() if main else []), *self._shim_import()])
        return own.encode() + (b"//" if own and source.startswith(_SHEBANG) else b"") + source

    def _main_is_es_module(self) -> bool:
        """Return whether the script's main module can export the lifecycle, as an ES module can."""
        kinds = {module.name: module_kind(module.content_type) for module in self._version.modules}
        return kinds[self._version.main_module] == "js"

    def _add_main(self) -> str:
        """Add an entry module for a script whose main module is not an ES module."""
        name = self.specifier(self._version.main_module)
        lines = [f"import * as script from {name};", f"export * from {name};", "export default script.default;"]
        return self._add_entry(lines)

    def _add_classic(self) -> str:
        """Add a classic script and the module that runs it.

        The script is added as text, because only evaluated code runs as a script.
        """
        script = self._version.main_module
        self._frame.add_module(script.lstrip("/"), "text", self._files[script])
        parts = self._wasm_parts()
        for part in parts:
            self._frame.add_module(part, "wasm", self._files[part])
        bound = (f"[{js_string(name)}]: part{index}" for index, name in enumerate(parts.values()))
        return self._add_entry(
            [
                f"import {{ run }} from {self._own_specifier('classic')};",
                f"import source from {self.specifier(script)};",
                *(f"import part{index} from {self.specifier(part)};" for index, part in enumerate(parts)),
                f"run({js_string(quote(script))}, source, {{ {', '.join(bound)} }});",
            ]
        )

    def _wasm_parts(self) -> dict[str, str]:
        """Return the files that a classic script receives as compiled modules, each with its binding's name."""
        wasm = [binding for binding in self._version.bindings if binding.kind == "wasm_module"]
        return {fields_of(binding)["part"]: binding.name for binding in wasm}

    def _add_entry(self, lines: list[str]) -> str:
        """Add an entry module that replaces the script's own; return its name."""
        own = [*self._lifecycle_lines(), *self._shim_import()]
        self._frame.add_module(_MAIN, "js", "\n".join([*own, *lines]).encode())
        return _MAIN

    def _shim_import(self) -> list[str]:
        """Return the import that makes a module wait for the shim, if the shim has anything to make."""
        return [f"import {self._own_specifier('shim')};"] if self._frame.needs_shim else []

    def _lifecycle_lines(self) -> list[str]:
        """Return the first lines of the entry module, which let the dispatcher reach the isolate."""
        first = [f"import {self.specifier(self._first)};"] if self._first else []
        return [*first, f"export {{ NightsafeLifecycle }} from {self._own_specifier('lifecycle')};"]

    def _own_specifier(self, name: str) -> str:
        """Return the quoted specifier that imports one of our modules from anywhere."""
        return js_string(f"{self._root}{RESERVED}/{name}.js")

    def specifier(self, name: str) -> str:
        """Return the quoted specifier that imports a module of the script from anywhere."""
        return js_string(self._root + name.removeprefix("./").lstrip("/"))


def js_string(text: str) -> str:
    """Return a string as a JavaScript literal."""
    return msgspec.json.encode(text).decode()
