"""A model of a script, kept in dictionaries, that the random histories compare a store with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.engines.tools.changes import plain, secret

from nightsafe.errors import Code
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding

COUNTED = {"secret_text", "secret_key", "plain_text", "json"}

Live = dict[str, Binding]
Problems = list[tuple[Code, str]]
Shares = tuple[tuple[int, float], ...]
"""Numbers of versions with their percentages."""


@dataclass
class VersionModel:
    """The contents of one version."""

    id: bytes
    bindings: Live
    code: tuple[bytes, ...]
    settings: dict[str, Any]


@dataclass
class ScriptModel:
    """The contents of a script."""

    id: str
    versions: list[VersionModel] = field(default_factory=list)
    deployments: list[tuple[str, Shares]] = field(default_factory=list)
    script_settings: dict[str, Any] = field(default_factory=dict)
    triggers: dict[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> Live:
        """Return the newest bindings."""
        return self.versions[-1].bindings if self.versions else {}

    @property
    def settings(self) -> dict[str, Any]:
        """Return the newest settings."""
        return self.versions[-1].settings if self.versions else {}

    @property
    def served(self) -> Shares:
        """Return the versions that are served now, with their percentages."""
        return self.deployments[-1][1] if self.deployments else ()

    @property
    def alone(self) -> int:
        """Return the number of the version that is served alone, or 0."""
        return self.served[0][0] if len(self.served) == 1 else 0

    def add(self, version: VersionModel, triggered_by: str, *, deployed: bool) -> None:
        """Add a version."""
        self.versions.append(version)
        if deployed:
            self.deployments.append((triggered_by, ((len(self.versions), 100.0),)))

    def deploy(self, shares: Shares, *, force: bool) -> Problems:
        """Add a deployment, or return the problems."""
        newest, served = max(number for number, _ in shares), max((number for number, _ in self.served), default=0)
        back = newest < served
        if back and not force:
            changed = changed_secrets(self.versions[newest - 1].bindings, self.versions[served - 1].bindings)
            if changed:
                return [(Code.SECRETS_CHANGED, ", ".join(changed))]
        self.deployments.append(("rollback" if back else "deployment", shares))
        return []


def binding_of(name: str, kind: str) -> Binding:
    """Return a binding of a kind, sealed if it is a secret."""
    return secret(name, kind) if kind.startswith("secret") else plain(name, kind)


def ordered(live: Live) -> list[Binding]:
    """Return the bindings, ordered by name."""
    return [live[name] for name in sorted(live, key=str.encode)]


def secrets(live: Live) -> tuple[bytes, ...]:
    """Return `shown` of the secrets, ordered by name."""
    return tuple(binding.shown for binding in ordered(live) if binding.sealed is not None)


def changed_secrets(one: Live, other: Live) -> list[str]:
    """Return the names of the secrets that differ, in order."""
    first, second = ({name: b for name, b in live.items() if b.sealed is not None} for live in (one, other))
    return sorted((n for n in {*first, *second} if first.get(n) != second.get(n)), key=str.encode)


def settings_after(old: Mapping[str, Any], new: Mapping[str, Any], *, merge: bool) -> dict[str, Any]:
    """Return the settings after a change."""
    if not merge:
        return dict(new)
    return {name: value for name, value in {**old, **new}.items() if name not in new or value is not None}


def too_many(before: Live, after: Live, most: int) -> Problems:
    """Return the problem with the limit on variables, if the change exceeds it."""
    old, new = (sum(binding.kind in COUNTED for binding in live.values()) for live in (before, after))
    return [(Code.TOO_MANY_BINDINGS, str(new))] if old < new > most else []


def edited(live: Live, new: Sequence[Binding], drop: Sequence[str], *, require: bool) -> tuple[Live, Problems]:
    """Return the bindings after an edit of secrets, and the problems."""
    drops = [name for name in dict.fromkeys(drop) if name not in live or live[name].sealed is None]
    taken = [name for name in {b.name: b for b in new} if name in live and live[name].sealed is None]
    if require and drops:
        return live, [(Code.BINDING_NOT_FOUND, name) for name in drops]
    if taken:
        return live, [(Code.BINDING_NAME_TAKEN, name) for name in taken]
    rest = {name: had for name, had in live.items() if name not in drop or name in drops}
    return {**rest, **{binding.name: binding for binding in new}}, []


def rebound(
    live: Live, new: Sequence[Binding], keep: Sequence[str], inherits: Sequence[Inherit], *, strict: bool
) -> tuple[Live, Problems]:
    """Return the bindings after an update of all bindings, and the problems."""
    bad = [(Code.INHERIT, inherit.name) for inherit in inherits if strict and inherit.old_name not in live]
    bad += [
        (Code.INHERIT_RENAMED, inherit.name)
        for inherit in inherits
        if inherit.old_name in live and inherit.name != inherit.old_name and live[inherit.old_name].sealed is not None
    ]
    if bad:
        return live, bad
    result = {name: had for name, had in live.items() if had.kind in keep}
    for inherit in inherits:
        if inherit.old_name in live:
            had = live[inherit.old_name]
            text = json.dumps(
                {**json.loads(had.shown), "name": inherit.name}, separators=(",", ":"), ensure_ascii=False
            )
            same = inherit.name == inherit.old_name
            result[inherit.name] = had if same else Binding(inherit.name, had.kind, text.encode())
    return {**result, **{binding.name: binding for binding in new}}, []
