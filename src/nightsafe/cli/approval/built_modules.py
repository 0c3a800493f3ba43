"""Compares a version with the files that were built of it, for an approver that is a machine."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from nightsafe.cli.approval.changes import MAIN_MODULE, Change
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.bundle.approvals.manifest import Covers, Manifest

_TYPES: Final = MappingProxyType(
    {
        ".bin": "application/octet-stream",
        ".cjs": "application/javascript",
        ".html": "text/plain",
        ".js": "application/javascript+module",
        ".json": "application/json",
        ".mjs": "application/javascript+module",
        ".sql": "text/plain",
        ".txt": "text/plain",
        ".wasm": "application/wasm",
    }
)
"""The content type that wrangler gives a module by the end of its name."""


class Expected(NamedTuple):
    """What the caller expects of a version.

    Attributes:
        folder: the directory with the built files.
        names: the names of changes.
        covers: the parts that an approval must cover; None if that is not known.
    """

    folder: Path
    names: frozenset[str]
    covers: "Covers | None"


def check_modules(manifest: "Manifest", folder: Path) -> None:
    """Refuse a version with a module that differs from the file of its name in a directory.

    Raises:
        NightsafeError: INVALID, with the first such module.
    """
    for module in manifest.modules:
        if sha256(_read(folder, module.name)).digest() != module.digest:
            raise _refusal(f"the module {module.name!r} differs from the file in {folder}")


def check_changes(base: "Manifest | None", found: Sequence[Change], expected: Expected) -> None:
    """Refuse a change since the last approved version that the built files do not show, unless it is expected.

    Those are changes of settings, of bindings, of the main module, of a module's type, and of values if an approval
    must cover them or if that is not known.

    Args:
        base: the last approved version, or None.
        found: the changes.
        expected: the files and the expected changes.

    Raises:
        NightsafeError: INVALID, with all such changes.
    """
    unseen = dict.fromkeys(_unseen(base, found, expected))
    if refused := [f"{part} {name!r}" for part, name in unseen if name not in expected.names]:
        before = "it has more than" if base else "no version was approved before, and it has more than"
        raise NightsafeError(
            Code.INVALID,
            f"nothing was approved: {before} other contents of modules: {', '.join(refused)}. Approve it without"
            " --yes, or name what you expect: --allow NAME",
        )


def _unseen(base: "Manifest | None", found: Sequence[Change], expected: Expected) -> Iterator[tuple[str, str]]:
    """Yield part and name of each change that the built files do not show."""
    types = defaultdict[str, set[str]](set)
    for module in base.modules if base else ():
        types[module.name].add(module.content_type)
    for change in found:
        if change.part == "module" and change.name != MAIN_MODULE:
            known = types[change.name] or {_TYPES.get(PurePosixPath(change.name).suffix.lower(), "")}
            if change.change == "removed":
                is_seen = not (expected.folder / change.name.lstrip("/")).exists()
            else:
                is_seen = change.now.partition(" ")[2] in known
        else:
            is_seen = change.part == "code" or (change.part == "value" and expected.covers == "code")
        if not is_seen:
            yield change.part, change.name


def _read(folder: Path, name: str) -> bytes:
    """Return the file of a module in a directory, never a file outside of it."""
    path = folder / name.lstrip("/")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise _refusal(f"the module {name!r} has a name that leads out of {folder}")
        return path.read_bytes()
    except (OSError, ValueError):
        raise _refusal(f"the module {name!r} is not in {folder}") from None


def _refusal(problem: str) -> NightsafeError:
    """Return the refusal of a version."""
    return NightsafeError(Code.INVALID, f"{problem}: nothing was approved")
