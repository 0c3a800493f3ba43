"""Laying one JSON object over another, member by member."""

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.script_edit import Settings

_NULL = msgspec.Raw(b"null")
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def settled(old: bytes, new: Settings) -> bytes | None:
    """A JSON object of settings after a change of it; None when that alters no member.

    Args:
        old: the object there is.
        new: what becomes of it. Members that stay do so byte for byte.

    Raises:
        NightsafeError: UNAVAILABLE, when it is no longer what it was worked out from.
    """
    if new.over is not None and new.over != old:
        raise NightsafeError(Code.UNAVAILABLE, "the settings were changed meanwhile: send the request again")
    body = merged(old, new.body) if new.merge else new.body
    return None if _DECODER.decode(body) == _DECODER.decode(old) else body


def merged(body: bytes, patch: bytes) -> bytes:
    """One JSON object over another: a member of `patch` replaces that of its name whole, or removes it when null.

    The members that stay do so byte for byte, and when all do, so does the body.
    """
    before, over = _DECODER.decode(body), _DECODER.decode(patch)
    after = {name: value for name, value in {**before, **over}.items() if over.get(name) != _NULL}
    return body if after == before else msgspec.json.encode(after)
