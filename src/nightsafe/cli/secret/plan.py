"""The changes that would give a script the secrets declared in a file. Values are not read, as none can be read."""

from collections.abc import Mapping
from typing import NamedTuple

from nightsafe.cli.secret.fingerprints import FingerprintKey, FingerprintScope, tags_by_name
from nightsafe.cli.secret.losses import is_of_kind
from nightsafe.cli.secret.secret_versions import secret_versions
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


class SecretChangePlan(NamedTuple):
    """All steps in the order of names, the declared secrets and the existing ones."""

    script: str
    steps: list[Step]
    declared: Declared
    existing: tuple[Secret, ...] = ()

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


def make_plan(remote: Remote, declared: Declared, key: FingerprintKey) -> SecretChangePlan:
    """Compare the declared secrets with the existing ones."""
    existing = {
        secret.name: secret
        for secret in remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id)
    }
    tags = tags_by_name(secret_versions(remote)) if existing else {}
    scope = FingerprintScope(remote.account_id, remote.script)
    steps = []
    for name in sorted(existing.keys() | declared.keys()):
        step = _step(
            name,
            declared.get(name),
            existing.get(name),
            _FingerprintCheck(tags, key, scope),
            in_file=name in declared,
        )
        steps += [] if step is None else [step]
    return SecretChangePlan(remote.script, steps, declared, tuple(existing.values()))


class _FingerprintCheck(NamedTuple):
    """The fingerprints and the key that values are compared with."""

    tags: Mapping[str, str | None]
    key: FingerprintKey
    scope: FingerprintScope


def _step(
    name: str, fields: Fields | None, existing: Secret | None, check: _FingerprintCheck, *, in_file: bool
) -> Step | None:
    """Return the step for one secret; None if it should not exist and does not."""
    if fields is None:
        if existing is None:
            return None
        return Step(name, "extra", "null in the file" if in_file else "not in the file")
    if existing is None:
        return Step(name, "new", "not there yet")
    if not is_of_kind(fields, existing):
        return Step(name, "changed", "another type, algorithm, format or usages")
    return _by_fingerprint(name, fields, check)


def _by_fingerprint(name: str, fields: Fields, check: _FingerprintCheck) -> Step:
    """Compare the existing value with the declared one, by fingerprint."""
    if name not in check.tags:
        return Step(name, "unknown", "the server does not show the version that set it")
    tag = check.tags[name]
    if tag is None:
        return Step(name, "unknown", "put without a fingerprint")
    matches = check.key.matches(tag, check.scope, name, fields)
    if matches is None:
        return Step(name, "unknown", "its fingerprint was made with another key")
    return Step(name, "same", "the fingerprint matches") if matches else Step(name, "changed", "another value")
