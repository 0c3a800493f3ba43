"""Merges one JSON object over another, member by member."""

import msgspec

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.script_edit import SettingsUpdate

_NULL = msgspec.Raw(b"null")
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def apply_settings(old: bytes, new: SettingsUpdate) -> bytes | None:
    """Return a JSON object of settings after a change, or None if the change alters no member.

    Args:
        old: the current object.
        new: the change. Members that it does not alter stay the same byte for byte.

    Raises:
        NightsafeError: UNAVAILABLE, when `old` is no longer the object from which the change was computed.
    """
    if new.expected is not None and new.expected != old:
        raise NightsafeError(Code.UNAVAILABLE, f"the settings were changed meanwhile: {AGAIN}")
    body = merge_json(old, new.body) if new.merge else new.body
    return None if _DECODER.decode(body) == _DECODER.decode(old) else body


def merge_json(body: bytes, patch: bytes) -> bytes:
    """Merge a JSON object over another: each member of `patch` replaces the whole member, or removes it if null.

    Members that are not replaced stay the same byte for byte. If no member changes, neither does the body.
    """
    before, over = _DECODER.decode(body), _DECODER.decode(patch)
    after = {name: value for name, value in {**before, **over}.items() if over.get(name) != _NULL}
    return body if after == before else msgspec.json.encode(after)
