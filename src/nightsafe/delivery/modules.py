"""A script's modules, and those that are loaded beside them."""

from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Final

import msgspec

from nightsafe.bundle.model import BundleVersion
from nightsafe.delivery.packing import RESERVED, Packing
from nightsafe.delivery.support import fields_of, module_kind

MAIN: Final = f"{RESERVED}/main.js"
"""The module that starts."""

_RUNTIME: Final = resources("nightsafe.delivery") / "runtime"
_OWN: Final = {name: (_RUNTIME / f"{name}.js").read_bytes() for name in ("shim", "lifecycle", "classic")}
_IMPORT_SHIM: Final = f'import "/{RESERVED}/shim.js";'
_LIFECYCLE: Final = f'export {{ NightsafeLifecycle }} from "/{RESERVED}/lifecycle.js";'


def add_modules(packing: Packing, version: BundleVersion, files: Mapping[str, bytes]) -> None:
    """Put all modules into a load that has its `env`: with keys in it, each module waits until they are imported."""
    keys = bool(packing.keys)
    parts = _parts(version)
    if version.classic:
        packing.add_module(version.main_module, "cjs", files[version.main_module])
        for part in parts:
            packing.add_module(part, "wasm", files[part])
    else:
        _add_files(packing, version, files, keys=keys)
    own = ["lifecycle", *(["shim"] if keys else []), *(["classic"] if version.classic else [])]
    for name in own:
        packing.add_module(f"{RESERVED}/{name}.js", "js", _OWN[name])
    lines = _classic_main(version.main_module, parts) if version.classic else _main(version.main_module)
    packing.add_module(MAIN, "js", "\n".join([_IMPORT_SHIM, *lines] if keys else lines).encode())


def _add_files(packing: Packing, version: BundleVersion, files: Mapping[str, bytes], *, keys: bool) -> None:
    """The files of a script in modules."""
    for module in version.modules:
        kind, source = module_kind(module.content_type), files[module.name]
        if kind == "js" and keys:
            source = _with_shim(source)
        if kind:
            packing.add_module(module.name, kind, source)


def _parts(version: BundleVersion) -> dict[str, str]:
    """Files that a classic script has as compiled modules, each with its binding's name."""
    wasm = [binding for binding in version.bindings if binding.kind == "wasm_module"]
    return {fields_of(binding)["part"]: binding.name for binding in wasm}


def _with_shim(source: bytes) -> bytes:
    """A module that waits for the keys, on its own first line so that lines keep their numbers."""
    source = source.removeprefix(b"\xef\xbb\xbf")
    return _IMPORT_SHIM.encode() + (b"//" if source.startswith(b"#!") else b"") + source


def _main(script: str) -> list[str]:
    """The main module around a script in modules."""
    name = _specifier(script)
    imported = [f"import * as script from {name};", f"export * from {name};"]
    return [_LIFECYCLE, *imported, "export default script.default;"]


def _classic_main(script: str, parts: Mapping[str, str]) -> list[str]:
    """The main module around a classic script: globals first, then the script, which is not in strict mode."""
    bound = (f"{msgspec.json.encode(name).decode()}: part{at}" for at, name in enumerate(parts.values()))
    return [
        _LIFECYCLE,
        f'import worker, {{ bind }} from "/{RESERVED}/classic.js";',
        *(f"import part{at} from {_specifier(part)};" for at, part in enumerate(parts)),
        f"bind({{ {', '.join(bound)} }});",
        f"await import({_specifier(script)});",
        "export default worker;",
    ]


def _specifier(name: str) -> str:
    """A module's name as JavaScript imports it from anywhere."""
    return msgspec.json.encode("/" + name.removeprefix("./").removeprefix("/")).decode()
