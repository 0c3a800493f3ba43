"""Fetches the public ring that a server offers below each account."""

from typing import Final

import msgspec

from nightsafe.client.call import Call, ScriptLocation, make_call, segment
from nightsafe.client.errors import SealingError
from nightsafe.client.messages import Request
from nightsafe.client.settings import ClientSettings

FORMAT: Final = "nightsafe-public-ring/"


class Offer(msgspec.Struct, frozen=True):
    """A ring that a server offers."""

    ring: bytes
    """The ring, as JSON."""
    proof: bytes = b"{}"
    """The proof of the ring's lineage, as JSON."""


def get_ring(location: ScriptLocation) -> Call[Offer]:
    """Describe a read of the server's public ring."""
    return make_call("GET", _ring_path(location), _read_offer, {})


def refusal(settings: ClientSettings, location: ScriptLocation, reason: str) -> SealingError:
    """Return the error that nothing was sent, with the reason."""
    request = Request("GET", settings.origin, (settings.prefix + _ring_path(location)).encode(), ())
    return SealingError(f"nothing was sent: {reason}", request)


def _ring_path(location: ScriptLocation) -> str:
    """Return the path of an account's ring."""
    return f"/accounts/{segment('account_id', location.account_id)}/nightsafe/public-ring"


class _RingFormat(msgspec.Struct):
    """The member that identifies a ring."""

    format: str = ""


class _Envelope(msgspec.Struct):
    """The envelope around a ring."""

    result: msgspec.Raw
    result_info: msgspec.Raw = msgspec.Raw(b"null")
    success: bool = True


def _read_offer(content: bytes) -> Offer:
    """Read the ring from its envelope. Refuse a result without the format of a ring: a server may answer anything."""
    envelope = msgspec.json.decode(content, type=_Envelope)
    ring, proof = bytes(envelope.result), bytes(envelope.result_info)
    if not envelope.success or not msgspec.json.decode(ring, type=_RingFormat).format.startswith(FORMAT):
        raise msgspec.ValidationError
    return Offer(ring) if proof == b"null" else Offer(ring, proof)
