"""The approvers file: the keys whose approvals the delivery process accepts, by script."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal, Self

from msgspec import Meta, Struct

from nightsafe.bundle.approvals.approval import Public, approver_id
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.ring_file import problem

_GLOB: Final = re.compile(r"[A-Za-z0-9_*?-]{1,255}")


class Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of the file.

    Attributes:
        glob: the scripts that it is for; `*` matches any characters and `?` one.
        keys: names of the keys that may approve these scripts; the approval of one key is enough.
        covers: the parts of a version that an approval must cover; `nothing` for scripts that need no approval.
    """

    glob: str
    keys: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    covers: Covers = Covers.CODE


class _File(Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-approvers/1"]
    keys: dict[str, Public]
    scripts: tuple[Rule, ...]


class Approvers(KeyFile):
    """The rules, with the keys that they name.

    The first rule that matches a script counts. A script that no rule matches is never served: the file names the
    scripts that need no approval.

    Args:
        keys: public keys by name.
        rules: the rules, in order.
        source: the file's name in an error message.

    Raises:
        NightsafeError: INVALID, when a rule names no key or an unknown one, or has a glob that matches no script.
    """

    __slots__ = ("_keys", "rules")
    is_private = False

    def __init__(self, keys: dict[str, bytes], rules: tuple[Rule, ...], source: str = "approvers") -> None:
        self._keys: Final = keys
        self.rules: Final = rules
        for reason in _problems(keys, rules):
            raise problem(source, reason)

    def rule_for(self, script: str) -> Rule:
        """Return the first rule that matches a script. A script that no rule matches gets a rule without keys."""
        return next((rule for rule in self.rules if fnmatchcase(script, rule.glob)), Rule(glob=""))

    def key_ids(self, rule: Rule) -> tuple[str, ...]:
        """Return the ids of the keys that a rule names."""
        return tuple(approver_id(self._keys[name]) for name in rule.keys)

    def all_key_ids(self) -> frozenset[str]:
        """Return the ids of all keys in the file."""
        return frozenset(map(approver_id, self._keys.values()))

    @classmethod
    def decode(cls, data: bytes, source: str = "approvers") -> Self:
        """Read the rules from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        file = ring_file.decode(data, _File, source)
        return cls(file.keys, file.scripts, source)

    def encode(self) -> bytes:
        """Return the rules as a file's bytes."""
        return ring_file.encode(_File("nightsafe-approvers/1", self._keys, self.rules))


def _problems(keys: dict[str, bytes], rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield the problems of a file."""
    if not rules:
        yield 'has no rule, so no script would be served; add one to "scripts"'
    for rule in rules:
        if not _GLOB.fullmatch(rule.glob):
            yield f"the glob {rule.glob!r} matches no script: use letters, digits, -, _, * and ?"
        if unknown := [name for name in rule.keys if name not in keys]:
            yield f'the rule for {rule.glob!r} names the key {unknown[0]!r}, which is not in "keys"'
        if rule.covers is Covers.NOTHING and rule.keys:
            yield f"the rule for {rule.glob!r} covers nothing, so it must not name keys"
        if rule.covers is not Covers.NOTHING and not rule.keys:
            yield (
                f"the rule for {rule.glob!r} names no key, so these scripts would never be served; "
                'name keys, or set "covers" to "nothing" for scripts that need no approval'
            )
