"""Compares a version with the last approved one, for an approver to read."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.bundle.approvals.manifest import Covers, Manifest, ManifestBinding

HEAD: Final = ("change", "part", "name", "now")

MAIN_MODULE: Final = "(main module)"
ANY_VALUE: Final = "(any)"
"""The name in a change of values that cannot be named: only the digest of all values is known."""


class Change(NamedTuple):
    """One difference.

    Attributes:
        change: `new`, `changed` or `removed`.
        part: `module`, `setting`, `binding`, `value` or `code`.
        name: the name of the module, setting or binding.
        now: a description of the part in the new version; of the removed part for `removed`.
    """

    change: str
    part: str
    name: str
    now: str


_Parts = Counter[tuple[str, str]]
"""The parts of one kind by name and description. Equal names are counted, so that none hides another."""


def changes(old: Manifest | None, new: Manifest, approved: Approval | None = None) -> list[Change]:
    """Return the differences between two versions; without an old one, every part of the new one.

    Args:
        old: the version to compare with, as it is now, or None.
        new: the new version.
        approved: the approval of the old version. If it is not about the values that the version has now, they were
            replaced in the database, and a comparison with them would show no difference.
    """
    found = [
        *_differences("module", _modules(old), _modules(new)),
        *_differences("setting", _settings(old), _settings(new)),
        *_differences("binding", _bindings(old), _bindings(new)),
    ]
    if old is None:
        return found
    changed = {change.name for change in found if change.part == "binding"}
    found += (
        Change("changed", "value", name, "another value")
        for name, _ in (_values(new) - _values(old))
        if name not in changed
    )
    if approved is not None and not approved.approves(old, Covers.VALUES):
        now = f"values of version {old.number} are not those that were approved: resealed, put again or exchanged"
        found.append(Change("changed", "value", ANY_VALUE, now))
    if not found and old.code_digest() != new.code_digest():
        found.append(Change("changed", "code", "", "the order of the modules, or the form of the settings"))
    return found


def _differences(part: str, old: _Parts, new: _Parts) -> Iterator[Change]:
    """Yield the differences between the parts of one kind."""
    removed, added = old - new, new - old
    removed_names, added_names = {name for name, _ in removed}, {name for name, _ in added}
    for name, now in sorted(added.elements()):
        yield Change("changed" if name in removed_names else "new", part, name, now)
    for name, before in sorted(removed.elements()):
        if name not in added_names:
            yield Change("removed", part, name, before)


def _modules(manifest: Manifest | None) -> _Parts:
    """Return the modules, each with its content type and SHA-256, and the name of the main module."""
    if manifest is None:
        return Counter()
    modules = Counter((one.name, f"{one.digest.hex()} {one.content_type}") for one in manifest.modules)
    return modules + Counter({(MAIN_MODULE, manifest.main_module): 1})


def _settings(manifest: Manifest | None) -> _Parts:
    """Return the settings, each as JSON."""
    if manifest is None:
        return Counter()
    settings: dict[str, Any] = msgspec.json.decode(manifest.settings)
    return Counter((name, _json(setting)) for name, setting in settings.items())


def _bindings(manifest: Manifest | None) -> _Parts:
    """Return the bindings, each with its kind and its other public fields."""
    return Counter() if manifest is None else Counter((one.name, _description(one)) for one in manifest.bindings)


def _values(manifest: Manifest) -> _Parts:
    """Return the secrets, each with the digest of its sealed value."""
    return Counter((one.name, one.value.hex()) for one in manifest.bindings)


def _description(binding: ManifestBinding) -> str:
    """Return a binding's kind and public fields."""
    fields: dict[str, Any] = msgspec.json.decode(binding.shown)
    shown = {name: field for name, field in fields.items() if name not in {"name", "type"}}
    origin = f" sealed as {binding.sealed_name} in {binding.store_id}" if binding.store_id else ""
    return f"{binding.kind}{f' {_json(shown)}' if shown else ''}{origin}"


def _json(value: object) -> str:
    """Return JSON in one line, with sorted names."""
    return msgspec.json.encode(value, order="sorted").decode()
