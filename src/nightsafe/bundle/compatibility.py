"""Finds the parts of a version that workerd cannot serve, and names each one so that its owner can act on it."""

from collections.abc import Collection, Iterator
from posixpath import normpath
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from nightsafe.bundle.model import BundleBinding, BundleVersion
from nightsafe.bundle.runtime_flags import EXPERIMENTAL, FLAGS, OPPOSITES
from nightsafe.errors import Code, NightsafeError, Problem

RESERVED: Final = "__nightsafe"
"""Prefix of names that are reserved for the code that Nightsafe loads beside a script."""

LOST_NAME: Final = "__proto__"
"""The name that the runtime loses when it makes `env`: it assigns the property instead of defining it."""

PARTS: Final = frozenset({"data_blob", "text_blob", "wasm_module"})
"""Kinds of binding whose value is a file of the upload."""

_SERVABLE: Final = PARTS | {
    "json",
    "plain_text",
    "secret_key",
    "secret_text",
    "secrets_store_secret",
    "service",
    "version_metadata",
}

_MODULE_KINDS: Final = {
    "application/javascript+module": "js",
    "text/javascript+module": "js",
    "application/javascript": "cjs",
    "text/javascript": "cjs",
    "application/json": "json",
    "application/octet-stream": "data",
    "application/wasm": "wasm",
    "text/plain": "text",
}
_NOT_LOADED: Final = frozenset({"application/source-map"})
_BUILT_IN: Final = "cloudflare:"
_PYTHON: Final = "python_workers"  # with this flag, the runtime fetches Python from an address that it chooses
_STUB_GET_SINCE: Final = "2024-04-03"  # before this date, `get` of a stub that the runtime makes is another method

DEFAULT_DATE: Final = "2021-11-02"
"""The compatibility date that the platform assumes for an upload without one."""

IMPORTABLE_ENV: Final = "disallow_importable_env"
"""The flag that hides `env` from the code that Nightsafe loads beside a script."""


def module_kind(content_type: str) -> str:
    """Return the kind of module that the runtime loads this content type as; "" for a file that it does not need.

    Raises:
        NightsafeError: UNSUPPORTED, with the content type.
    """
    bare = content_type.partition(";")[0].strip().lower()
    if bare in _NOT_LOADED:
        return ""
    if bare not in _MODULE_KINDS:
        raise NightsafeError(Code.UNSUPPORTED, f"modules of type {bare!r} cannot be served")
    return _MODULE_KINDS[bare]


def problems_of(version: BundleVersion) -> Iterator[Problem]:
    """Yield every reason not to serve a version: INVALID if it can start nowhere, UNSUPPORTED if it cannot here."""
    yield from (Problem(Code.INVALID, detail, "/compatibility_flags") for detail in _flag_problems(version))
    yield from (Problem(Code.UNSUPPORTED, detail) for detail in _other_problems(version))


def check_servable(version: BundleVersion) -> None:
    """Refuse a version that cannot be served as it is.

    Raises:
        NightsafeError: with every problem that `problems_of` finds.
    """
    problems = tuple(problems_of(version))
    if problems:
        raise NightsafeError.of(problems)


def fields_of(binding: BundleBinding) -> dict[str, Any]:
    """Return the public fields of a binding."""
    fields: dict[str, Any] = msgspec.json.decode(binding.shown)
    return fields


def _flag_problems(version: BundleVersion) -> Iterator[str]:
    """Yield the problems with the flags; the runtime would refuse each of them."""
    earlier: set[str] = set()
    flags = frozenset(version.compatibility_flags)
    for flag in version.compatibility_flags:
        if flag in earlier:
            yield f"the compatibility flag {flag!r} is given twice"
        elif flag not in FLAGS:
            yield f"the runtime knows no compatibility flag {flag!r}"
        elif flag in EXPERIMENTAL:
            yield f"the compatibility flag {flag!r} is experimental: uploaded scripts may not have it"
        elif flag == _PYTHON:
            yield f"the compatibility flag {flag!r} is for Python, which cannot be served"
        elif (opposite := OPPOSITES.get(flag)) in flags:
            yield f"the compatibility flags {flag!r} and {opposite!r} contradict each other"
        earlier.add(flag)


def _other_problems(version: BundleVersion) -> Iterator[str]:
    """Yield every reason, apart from its flags, not to serve a version."""
    names = {module.name for module in version.modules}
    for binding in version.bindings:
        yield from _binding_problems(binding, names, classic=version.classic)
    if version.main_module not in names:
        yield f"the main module {version.main_module!r} is not among the modules"
    module_paths: dict[str, str] = {}
    for module in version.modules:
        yield from _module_problems(module.name, module.content_type)
        other = module_paths.setdefault(module.name.lstrip("/"), module.name)
        if other != module.name:
            yield f"the modules {other!r} and {module.name!r} have the same name: a leading slash is ignored"
    if IMPORTABLE_ENV in version.compatibility_flags and not version.classic:
        yield from _unreachable_env_problems(version)


def _unreachable_env_problems(version: BundleVersion) -> Iterator[str]:
    """Yield the problems with bindings that cannot be made in a script's isolate, where `env` is out of reach."""
    kinds = {binding.kind for binding in version.bindings}
    if LOST_NAME in {binding.name for binding in version.bindings}:
        yield f"the compatibility flag {IMPORTABLE_ENV} cannot be combined with a binding called {LOST_NAME}"
    if "secret_key" in kinds:
        yield f"the compatibility flag {IMPORTABLE_ENV} cannot be combined with secret_key bindings"
    if "secrets_store_secret" in kinds and version.compatibility_date < _STUB_GET_SINCE:
        yield (
            f"the compatibility flag {IMPORTABLE_ENV} cannot be combined with secrets_store_secret bindings before"
            f" the compatibility date {_STUB_GET_SINCE}"
        )


def _binding_problems(binding: BundleBinding, names: Collection[str], *, classic: bool) -> Iterator[str]:
    """Yield the problems with one binding of a version whose modules have these names."""
    if binding.kind not in _SERVABLE or (binding.kind == "wasm_module" and not classic):
        yield f"the binding {binding.name!r} is of kind {binding.kind}, which cannot be served"
        return
    if binding.name.startswith(RESERVED):
        yield f"the binding {binding.name!r} has a name that begins with {RESERVED}, which is reserved"
    if binding.kind in {"secret_key", "secret_text"} and binding.record is None:
        yield f"the binding {binding.name!r} has no sealed value"
    fields = fields_of(binding)
    if binding.kind in PARTS and fields.get("part") not in names:
        yield f"the binding {binding.name!r} names a part that is not in the upload"
    if binding.kind == "service":
        yield from _service_problems(binding.name, fields)


def callee_of(fields: dict[str, Any]) -> str:
    """Return the script that a service binding leads to; each environment of a service is a separate script."""
    environment, service = fields.get("environment"), str(fields["service"])
    return service if environment in {None, "", "production"} else f"{service}-{environment}"


def _service_problems(name: str, fields: dict[str, Any]) -> Iterator[str]:
    """Yield the problems with a service binding."""
    if not isinstance(fields.get("service"), str):
        yield f"the binding {name!r} names no service"
    if str(fields.get("entrypoint") or "").startswith("Nightsafe"):
        yield f"the binding {name!r} names an entrypoint that begins with Nightsafe, which is reserved"
    if fields.get("cross_account_grant"):
        yield f"the binding {name!r} leads to another account, which cannot be served"


def _module_problems(name: str, content_type: str) -> Iterator[str]:
    """Yield the problems with one module."""
    path = normpath(unquote(name)).lstrip("/")  # the runtime resolves the name as a path or as a URL
    if path.startswith("../"):
        yield f"the module {name!r} has a name that leads out of the upload"
    if path.startswith(RESERVED):
        yield f"the module {name!r} has a name that begins with {RESERVED}, which is reserved"
    if path.startswith(_BUILT_IN):
        yield f"the module {name!r} has a name that begins with {_BUILT_IN}, which belongs to the runtime"
    try:
        module_kind(content_type)
    except NightsafeError as error:
        yield f"the module {name!r}: {error.problems[0].detail}"
