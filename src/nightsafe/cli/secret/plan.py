"""The changes that would give a script the secrets declared in a file. Values are not read, as none can be read."""

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
    """The planned change of one secret.

    Attributes:
        name: the secret's name.
        state: `new`, `changed`, `unknown`, `same` or `extra`.
        why: the reason, in a few words.
    """

    name: str
    state: str
    why: str


class Plan(NamedTuple):
    """All steps in the order of names, the declared secrets and the existing ones."""

    script: str
    steps: list[Step]
    declared: Declared
    there: tuple[Secret, ...] = ()

    def differs(self, *, prune: bool) -> bool:
        """Return whether anything would be sent."""
        return bool(self.changes(prune=prune, everything=False))

    def changes(self, *, prune: bool, everything: bool) -> Declared:
        """Return the changes to send.

        Args:
            prune: whether to delete extra secrets.
            everything: whether to put unchanged secrets too.
        """
        changes: Declared = {}
        for step in self.steps:
            if step.state == "extra":
                # A name that is null in the file is deleted even without `prune`.
                if prune or step.name in self.declared:
                    changes[step.name] = None
            elif step.state != "same" or everything:
                changes[step.name] = self.declared[step.name]
        return changes

    def show(self, *, as_json: bool, prune: bool, **more: object) -> None:
        """Print the plan."""
        if as_json:
            steps = [step._asdict() for step in self.steps]
            show_json({"script": self.script, "differs": self.differs(prune=prune), "secrets": steps, **more})
        elif self.steps:
            show_table(("name", "state", "why"), self.steps, coloured=1)


def make_plan(remote: Remote, declared: Declared, key: FingerprintKey) -> Plan:
    """Compare the declared secrets with the existing ones."""
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
    """The fingerprints and the key that values are compared with."""

    tags: Mapping[str, str | None]
    key: FingerprintKey
    place: Place


def _step(name: str, fields: Fields | None, there: Secret | None, evidence: _Evidence, *, asked: bool) -> Step | None:
    """Return the step for one secret; None if it should not exist and does not."""
    if fields is None:
        if there is None:
            return None
        return Step(name, "extra", "null in the file" if asked else "not in the file")
    if there is None:
        return Step(name, "new", "not there yet")
    if not is_of_kind(fields, there):
        return Step(name, "changed", "another type, algorithm, format or usages")
    return _by_fingerprint(name, fields, evidence)


def _by_fingerprint(name: str, fields: Fields, evidence: _Evidence) -> Step:
    """Compare the existing value with the declared one, by fingerprint."""
    if name not in evidence.tags:
        return Step(name, "unknown", "the server does not show the version that set it")
    tag = evidence.tags[name]
    if tag is None:
        return Step(name, "unknown", "put without a fingerprint")
    matches = evidence.key.matches(tag, evidence.place, name, fields)
    if matches is None:
        return Step(name, "unknown", "its fingerprint was made with another key")
    return Step(name, "same", "the fingerprint matches") if matches else Step(name, "changed", "another value")
