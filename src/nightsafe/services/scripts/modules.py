"""The files of an upload, and the main file among them.

Source: the multipart upload of `workers/scripts/{script_name}` in the Cloudflare v4 API's specification, and the
requests of its clients. Clients name a file by its file name (the Python SDK calls every part `files`) or by the name
of its part (wrangler, for the files of a classic script).
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import optional_string
from nightsafe.bundle.fields import BODY_PART
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.store.scripts import Module

_NO_SCRIPTS = frozenset(
    {"application/json", "application/octet-stream", "application/source-map", "application/wasm", "text/plain"}
)
"""Content types that the main file of a Worker cannot have."""

MAIN_MODULE = "main_module"
"""The setting of a version that marks a classic script. Its value is the name of the main file."""


class Part(Struct, frozen=True):
    """One file of the upload.

    Attributes:
        name: the name of the form field.
        content_type: the content type as sent, or "".
        body: its bytes.
        filename: its file name, or None.
    """

    name: str
    content_type: str
    body: bytes
    filename: str | None = None


class Source(Struct, frozen=True):
    """The code of an upload.

    Attributes:
        main_module: name of the main file.
        modules: all files, in the order of the upload.
        classic: whether it is a classic script, not an ES module.
    """

    main_module: str
    modules: tuple[Module, ...]
    classic: bool


def parse_source(fields: dict[str, Any], parts: Sequence[Part], others: Collection[str], limits: Limits) -> Source:
    """Return the code that an upload's metadata and files make.

    Args:
        fields: the metadata, with `main_module` or, for a classic script, `body_part`.
        parts: the files.
        others: other part names in the metadata: the files of bindings.
        limits: sets the largest number of files.

    Raises:
        NightsafeError: INVALID.
    """
    member = MAIN_MODULE if fields.get(MAIN_MODULE) is not None else BODY_PART
    main = optional_string(fields, member, "")
    if main is None:
        raise NightsafeError(
            Code.INVALID, "'main_module' is missing: set it to the name of the Worker's main module", "/main_module"
        )
    if len(parts) > limits.max_modules:
        raise NightsafeError(Code.INVALID, f"the upload has more than {limits.max_modules} modules", "")
    modules = _to_modules(parts, {main, *others})
    names = {module.name for module in modules}
    if main not in names:
        raise NightsafeError(Code.INVALID, f"'{member}' is not the name of a part of the upload", f"/{member}")
    if len(names) != len(modules):
        raise NightsafeError(Code.INVALID, "two parts of the upload have the same file name", "")
    _check_type(member, next(module for module in modules if module.name == main))
    return Source(main, modules, member == BODY_PART)


def _check_type(member: str, main: Module) -> None:
    """Refuse a main file whose content type is not a script's.

    Raises:
        NightsafeError: INVALID.
    """
    bare = main.content_type.partition(";")[0].strip().lower()
    if bare in _NO_SCRIPTS:
        fit = "application/javascript" + ("" if member == BODY_PART else "+module")
        sentence = f"the main file '{main.name}' has the Content-Type {bare}: send it as {fit}"
        raise NightsafeError(Code.INVALID, sentence, f"/{member}")


def _to_modules(parts: Sequence[Part], part_names: Collection[str]) -> tuple[Module, ...]:
    """Return the files as modules.

    A module's name is its file name, or its part's name if the metadata uses that and no file name matches.

    Args:
        parts: the files.
        part_names: the names in the metadata.
    """
    filenames = {part.filename for part in parts if part.filename}
    by_part = {name for name in part_names if name not in filenames}
    return tuple(_module(part, part.name if part.name in by_part else part.filename or part.name) for part in parts)


def _module(part: Part, name: str) -> Module:
    """Return a file in the form of the store."""
    return Module(name, part.content_type, hashlib.sha256(part.body).digest(), part.body)
