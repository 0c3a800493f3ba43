"""The approvers file: the keys whose approvals the delivery process accepts, by script."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta, Struct

from nightsafe.bundle.approvals.approval import Public, approver_id
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.ring_file import problem

_FORMAT: Final = "nightsafe-approvers/1"
_PRIVATE: Final = re.compile(r"nightsafe-(approver-key|identity-key|private-ring|signing-key|witness-key)/.*")
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
    """The whole file. Each key is decoded alone, so that a refusal can name it."""

    format: str
    keys: dict[str, msgspec.Raw]
    scripts: tuple[Rule, ...]


class _Format(Struct):
    """The format of a file of any kind."""

    format: str = ""


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

    @classmethod
    def decode(cls, data: bytes, source: str = "approvers") -> Self:
        """Read the rules from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong.
        """
        _refuse_repeated_names(data, source)
        _refuse_other_file(ring_file.decode(data, _Format, source).format, source)
        try:
            file = msgspec.json.decode(data, type=_File)
        except msgspec.ValidationError as error:
            where = str(error) if str(error).isprintable() else "see the documentation"
            raise problem(source, f"wrong or missing field: {where}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # in a member that the first look skips
            raise problem(source, "is not JSON in UTF-8") from None
        keys = {name: _decode_key(name, key, source) for name, key in file.keys.items()}
        return cls(keys, file.scripts, source)

    def encode(self) -> bytes:
        """Return the rules as a file's bytes."""
        keys = {name: msgspec.Raw(msgspec.json.encode(key)) for name, key in self._keys.items()}
        return ring_file.encode(_File(_FORMAT, keys, self.rules))


def _refuse_repeated_names(data: bytes, source: str) -> None:
    """Refuse JSON with an object in which a name occurs twice: it would show one key, and mean the other."""

    def refuse(pairs: list[tuple[str, object]]) -> None:
        """Refuse one object."""
        repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        if repeated:
            raise problem(source, f"has {repeated[0]!r} more than once in one object")

    with suppress(ValueError, RecursionError):  # what is no JSON is refused with a better reason
        json.loads(data, object_pairs_hook=refuse)


def _refuse_other_file(form: str, source: str) -> None:
    """Refuse a file of another format, above all one with a private key."""
    if _PRIVATE.fullmatch(form):
        raise problem(
            source,
            "has a private key, which delivery must not get: name an approvers file, with the public keys that"
            " nightsafe approver create prints",
        )
    if form != _FORMAT:
        raise problem(source, f'is not an approvers file, in which "format" is "{_FORMAT}"')


def _decode_key(name: str, key: msgspec.Raw, source: str) -> bytes:
    """Return the public key with a name."""
    try:
        return msgspec.json.decode(key, type=Public)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem(
            source, f"the key {name!r} is not 32 bytes in Base64, as nightsafe approver create prints a public key"
        ) from None


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
