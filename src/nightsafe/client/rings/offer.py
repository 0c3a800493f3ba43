"""The public ring, as a server offers it below each account."""

from typing import Final

import msgspec

from nightsafe.client.call import Call, Place, make, segment
from nightsafe.client.errors import SealingError
from nightsafe.client.messages import Request
from nightsafe.client.settings import Settings

FORMAT: Final = "nightsafe-public-ring/"


class Offer(msgspec.Struct, frozen=True):
    """A ring as a server offers it."""

    ring: bytes
    """The ring, as the JSON it is."""
    proof: bytes = b"{}"
    """What it tells of the ring's lineage, as the JSON it is."""


def get_ring(place: Place) -> Call[Offer]:
    """The public ring of the server."""
    return make("GET", _ring_path(place), _read_offer, {})


def refusal(settings: Settings, place: Place, why: str) -> SealingError:
    """Nothing was sent, and why."""
    request = Request("GET", settings.origin, (settings.prefix + _ring_path(place)).encode(), ())
    return SealingError(f"nothing was sent: {why}", request)


def _ring_path(place: Place) -> str:
    """Where an account's ring is."""
    return f"/accounts/{segment('account_id', place.account_id)}/nightsafe/public-ring"


class _Form(msgspec.Struct):
    """The one member of a ring that tells it from anything else."""

    format: str = ""


class _Envelope(msgspec.Struct):
    """The envelope a ring comes in."""

    result: msgspec.Raw
    result_info: msgspec.Raw = msgspec.Raw(b"null")
    success: bool = True


def _read_offer(content: bytes) -> Offer:
    """The ring out of its envelope; what does not say that it is one is none: a server may answer anything."""
    envelope = msgspec.json.decode(content, type=_Envelope)
    ring, proof = bytes(envelope.result), bytes(envelope.result_info)
    if not envelope.success or not msgspec.json.decode(ring, type=_Form).format.startswith(FORMAT):
        raise msgspec.ValidationError
    return Offer(ring) if proof == b"null" else Offer(ring, proof)
