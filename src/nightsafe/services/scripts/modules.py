"""The files of an upload, and which of them the Worker starts with.

Source: the multipart upload of `workers/scripts/{script_name}` in the Cloudflare v4 API's specification, and what its
clients send: files known by their file name (the Python SDK calls every part `files`) or by their part's name
(wrangler's files of a classic script).
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import optional_string
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.store.scripts import Module

_NO_SCRIPTS = frozenset(
    {"application/json", "application/octet-stream", "application/source-map", "application/wasm", "text/plain"}
)
"""Types of files that no Worker starts with."""

MAIN_MODULE = "main_module"
BODY_PART = "body_part"
"""The member of a version's settings by which a classic script is known: the name of its main file."""


class Part(Struct, frozen=True):
    """One file of the upload.

    Attributes:
        name: of the form's field.
        content_type: as it came, "" for none.
        body: its bytes.
        filename: or None, when it has none.
    """

    name: str
    content_type: str
    body: bytes
    filename: str | None = None


class Source(Struct, frozen=True):
    """The code of an upload.

    Attributes:
        main_module: name of the module that the Worker starts with.
        modules: every file, in the order it came.
        classic: whether it is a script as before there were modules.
    """

    main_module: str
    modules: tuple[Module, ...]
    classic: bool


def parse_source(fields: dict[str, Any], parts: Sequence[Part], others: Collection[str], limits: Limits) -> Source:
    """The code that an upload's metadata and files make.

    Args:
        fields: the metadata: `main_module` or, for a classic script, `body_part`.
        parts: the files.
        others: what the metadata further calls by the names of parts: the files of bindings.
        limits: how many files there may be.

    Raises:
        NightsafeError: INVALID.
    """
    member = MAIN_MODULE if fields.get(MAIN_MODULE) is not None else BODY_PART
    main = optional_string(fields, member, "")
    if main is None:
        raise NightsafeError(
            Code.INVALID, "'main_module' is missing: name the module that the Worker starts with", "/main_module"
        )
    if len(parts) > limits.max_modules:
        raise NightsafeError(Code.INVALID, f"the upload has more than {limits.max_modules} modules", "")
    modules = _named(parts, {main, *others})
    names = {module.name for module in modules}
    if main not in names:
        raise NightsafeError(Code.INVALID, f"'{member}' names no part of the upload", f"/{member}")
    if len(names) != len(modules):
        raise NightsafeError(Code.INVALID, "two parts of the upload have the same file name", "")
    _check_type(member, next(module for module in modules if module.name == main))
    return Source(main, modules, member == BODY_PART)


def _check_type(member: str, main: Module) -> None:
    """Refuse a main file that is no script; NightsafeError INVALID."""
    bare = main.content_type.partition(";")[0].strip().lower()
    if bare in _NO_SCRIPTS:
        fit = "application/javascript" + ("" if member == BODY_PART else "+module")
        sentence = f"'{main.name}', which the Worker starts with, has the Content-Type {bare}: send it as {fit}"
        raise NightsafeError(Code.INVALID, sentence, f"/{member}")


def _named(parts: Sequence[Part], meant: Collection[str]) -> tuple[Module, ...]:
    """The files under the names that the metadata means: the file's own or, where only that fits, its part's."""
    filenames = {part.filename for part in parts if part.filename}
    by_part = {name for name in meant if name not in filenames}
    return tuple(_module(part, part.name if part.name in by_part else part.filename or part.name) for part in parts)


def _module(part: Part, name: str) -> Module:
    """A file as the store keeps it."""
    return Module(name, part.content_type, hashlib.sha256(part.body).digest(), part.body)
