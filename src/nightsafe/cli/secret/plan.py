"""What would have to change for a script to have the secrets that a file declares. No value is read: none can be."""

from collections.abc import Mapping
from typing import NamedTuple

from nightsafe.cli.secret.fingerprints import FingerprintKey, Place, tags_by_name
from nightsafe.cli.secret.losses import is_of_kind
from nightsafe.cli.secret.secret_versions import origins
from nightsafe.cli.secret.sources.declared import Declared, Fields
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.output import show_json, show_table
from nightsafe.client import Secret


class Step(NamedTuple):
    """What is to happen to one secret.

    Attributes:
        name: its name.
        state: `new`, `changed`, `unknown`, `same` or `extra`.
        why: in a few words.
    """

    name: str
    state: str
    why: str


class Plan(NamedTuple):
    """Every step, by name, what is declared and what is there."""

    script: str
    steps: list[Step]
    declared: Declared
    there: tuple[Secret, ...] = ()

    def differs(self, *, prune: bool) -> bool:
        """Whether anything would be sent."""
        return bool(self.changes(prune=prune, everything=False))

    def changes(self, *, prune: bool, everything: bool) -> Declared:
        """What is to be sent.

        Args:
            prune: delete what is extra.
            everything: put also what is the same.
        """
        changes: Declared = {}
        for step in self.steps:
            if step.state == "extra":
                # A name that the file says null for goes in any case.
                if prune or step.name in self.declared:
                    changes[step.name] = None
            elif step.state != "same" or everything:
                changes[step.name] = self.declared[step.name]
        return changes

    def show(self, *, as_json: bool, prune: bool, **more: object) -> None:
        """Print it."""
        if as_json:
            steps = [step._asdict() for step in self.steps]
            show_json({"script": self.script, "differs": self.differs(prune=prune), "secrets": steps, **more})
        elif self.steps:
            show_table(("name", "state", "why"), self.steps, coloured=1)


def make_plan(remote: Remote, declared: Declared, key: FingerprintKey) -> Plan:
    """Compare what is declared with what is there."""
    there = {
        one.name: one
        for one in remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id)
    }
    tags = tags_by_name(origins(remote)) if there else {}
    place = Place(remote.account_id, remote.script)
    steps = []
    for name in sorted(there.keys() | declared.keys()):
        step = _step(name, declared.get(name), there.get(name), _Evidence(tags, key, place), asked=name in declared)
        steps += [] if step is None else [step]
    return Plan(remote.script, steps, declared, tuple(there.values()))


class _Evidence(NamedTuple):
    """What there is to tell a value by."""

    tags: Mapping[str, str | None]
    key: FingerprintKey
    place: Place


def _step(name: str, fields: Fields | None, there: Secret | None, evidence: _Evidence, *, asked: bool) -> Step | None:
    """What is to happen to one secret; None for one that is rightly not there."""
    if fields is None:
        if there is None:
            return None
        return Step(name, "extra", "the file says null" if asked else "not in the file")
    if there is None:
        return Step(name, "new", "not there yet")
    if not is_of_kind(fields, there):
        return Step(name, "changed", "another type, algorithm, format or usages")
    return _by_fingerprint(name, fields, evidence)


def _by_fingerprint(name: str, fields: Fields, evidence: _Evidence) -> Step:
    """Whether the value that is there is the one that is declared."""
    if name not in evidence.tags:
        return Step(name, "unknown", "the server does not tell who set it")
    tag = evidence.tags[name]
    if tag is None:
        return Step(name, "unknown", "set without a fingerprint")
    matches = evidence.key.matches(tag, evidence.place, name, fields)
    if matches is None:
        return Step(name, "unknown", "its fingerprint is by another key")
    return Step(name, "same", "the fingerprint fits") if matches else Step(name, "changed", "another value")
