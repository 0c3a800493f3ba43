"""Checks that nobody else has changed a script in the database before a change builds on it.

A new version keeps what it does not change: its bindings' digests, its code and settings, its triggers. If they were
taken from the database as they are, the next lawful write would sign what an attacker has written there. So each
script has a MAC of them, under a key that is not in the database.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from nightsafe.bundle.statements import ScriptIdentity, binding_digest, encode_script
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Rows
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.rules.statements import content_at, refuse_older_row

_TAG: Final = encode(b"nightsafe-script-state/1")
_HASH_SIZE: Final = 32


class ScriptState(NamedTuple):
    """What a new version of a script builds on, besides the rows that a change replaces.

    Attributes:
        triggers: the JSON object of its triggers.
        digests: `binding_digest` of each of its bindings.
    """

    triggers: bytes = b"{}"
    digests: tuple[bytes, ...] = ()


def checked_state(rows: Rows, log: GroupLog, key: Key, head: Head, stored: StoredState) -> tuple[Head, ScriptState]:
    """Return a script's state after a check of its MAC.

    Args:
        rows: the rows of the transaction.
        log: has the key, and knows whether the safe is older than its log.
        key: the script.
        head: its row. A script that is about to be created has the version 0 and no state.
        stored: its state in the database.

    Returns:
        The head, with the digest of its content, and the state.

    Raises:
        NightsafeError: CANNOT_OPEN, when something else than Nightsafe has changed the script.
    """
    if not head.version:
        return head, ScriptState()
    if not stored.mac:
        return _older_state(rows, log, key, head, stored.triggers)
    state = _state(stored)
    if log.key is not None and not log.key.is_mac(_message(key, head, state), stored.mac):
        raise changed("the bindings, the settings or the subdomain")
    return head, state


def mac_of(log: GroupLog, key: Key, head: Head, state: ScriptState) -> bytes:
    """Return the MAC of a script's state; b"" in a store that was opened without the key."""
    return b"" if log.key is None else log.key.mac(_message(key, head, state))


def has_right_mac(key: IdentityKey, script: Key, head: Head, stored: StoredState) -> bool:
    """Return whether a script has the MAC of its state, or none although it may be older than its MAC."""
    if not stored.mac:
        return key.states_older_rows
    return key.is_mac(_message(script, head, _state(stored)), stored.mac)


def right_mac(key: IdentityKey, script: Key, head: Head, stored: StoredState) -> bytes:
    """Return the MAC of a script's stored state, which the caller has compared with the log."""
    return key.mac(_message(script, head, _state(stored)))


def check_content(rows: Rows, key: Key, head: Head) -> None:
    """Refuse to build on code and settings that differ from the checked digest of the script's content.

    Raises:
        NightsafeError: CANNOT_OPEN.
    """
    if head.version and content_at(rows, key[0], head.id, head.upload_version) != head.content:
        raise changed("the code or the settings")


def digests_without(state: ScriptState, gone: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the digests of the bindings that stay when some are replaced or removed.

    Raises:
        NightsafeError: CANNOT_OPEN, when one of them is not in the checked state.
    """
    left = list(state.digests)
    for digest in gone:
        if digest not in left:
            raise changed("the bindings")
        left.remove(digest)
    return tuple(left)


def changed(part: str) -> NightsafeError:
    """Return the refusal to build on a part of a script that somebody else has changed."""
    return NightsafeError(
        Code.CANNOT_OPEN,
        f"{part} of the script are not what Nightsafe wrote: something else has changed the database. Look at it with"
        " nightsafe audit verify, and upload the script again under another name, or restore a backup",
    )


def _older_state(rows: Rows, log: GroupLog, key: Key, head: Head, triggers: bytes) -> tuple[Head, ScriptState]:
    """Return the state of a script that is older than its MAC, and keep the digests of its bindings."""
    if log.key is not None:
        refuse_older_row(log, f"version {head.version}")
    digests = []
    for old in rows.bindings(key):
        digest = old.digest
        if digest is None:
            digest = binding_digest(old.name, old.kind, old.shown, old.since)
            rows.keep_digest(key, old, digest)
        digests.append(digest)
    content = head.content or content_at(rows, key[0], head.id, head.upload_version)
    return head._replace(content=content), ScriptState(triggers, tuple(digests))


def _message(key: Key, head: Head, state: ScriptState) -> bytes:
    """Return the message that a script's MAC authenticates."""
    names = encode_script(ScriptIdentity(*key, head.id))
    numbers = encode(head.version.to_bytes(8, "big"), head.upload_version.to_bytes(8, "big"))
    triggers = sha256(state.triggers).digest()
    return _TAG + names + numbers + encode(head.content, triggers, b"".join(sorted(state.digests)))


def _state(stored: StoredState) -> ScriptState:
    """Return what a new version builds on."""
    return ScriptState(stored.triggers, _split(stored.digests))


def _split(joined: bytes | None) -> tuple[bytes, ...]:
    """Split digests that were joined."""
    data = joined or b""
    return tuple(data[start : start + _HASH_SIZE] for start in range(0, len(data), _HASH_SIZE))
