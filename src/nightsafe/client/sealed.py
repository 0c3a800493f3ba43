"""Sealing before sending: the plaintext of a secret does not leave the process.

A server that takes sealed values offers its public ring below each account; `docs/decisions/0004-the-client.md` says
how. Sealing itself needs the extra `seal`, and is loaded only when a server offers a ring.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from nightsafe.client.call import Call, Place, make, segment
from nightsafe.client.calls import Seal
from nightsafe.client.errors import APIStatusError, SealingError, SecretRefusedError, errors_in, in_words
from nightsafe.client.messages import Request, Response
from nightsafe.client.settings import Settings
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.secret_value import SecretValue

if TYPE_CHECKING:
    from nightsafe.sealing.sealer import RingSealer

FORMAT: Final = "nightsafe-public-ring/"
_SEALED_MEMBERS: Final = frozenset({"encrypted_value", "key_id"})
_KINDS: Final = frozenset({"secret_text", "secret_key"})
_IN_WORDS: Final = {
    Code.BINDING_UNNAMED: (10052, "Binding at index {detail} must have a name"),
    Code.BINDING_TOO_LARGE: (
        10054,
        "Text binding '{detail}' is too large. Text bindings must not exceed 5.1 kB.",
    ),
    Code.BINDING_NAME_TOO_LONG: (10100, "workers.api.error.binding_name_too_large: the limit is {detail} bytes."),
}
_INVALID: Final = (10021, "{detail}.")
_HAS_NONE: Final = "api.cloudflare.com"
_NO_ANSWER: Final = frozenset({*range(300, 400), 401, 408, 409, 425, 429})
_CREDENTIALS_REFUSED: Final = frozenset({1000, 6003, 9103, 9106, 9109})
_FIRST_OF_SERVER: Final = 500


class _Form(msgspec.Struct):
    """The one member of a ring that tells it from anything else."""

    format: str = ""


class _Known(NamedTuple):
    """What is known of one account's ring."""

    sealer: "RingSealer | None"
    """None when the server has no ring."""


class Rings:
    """What is known of a server's public rings, by account."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def knows(self, place: Place) -> bool:
        """Whether the ring for a place, or that there is none, is known."""
        return place.account_id in self._known

    def learn(self, settings: Settings, place: Place, ring: bytes | None) -> None:
        """Keep what a server offered.

        Raises:
            SealingError: when it is a ring that cannot be used.
        """
        if ring is None:
            self._known[place.account_id] = _Known(None)
            return
        from nightsafe.sealing.public_ring import PublicRing  # noqa: PLC0415 - loads cryptography
        from nightsafe.sealing.sealer import RingSealer  # noqa: PLC0415 - the same

        try:
            self._known[place.account_id] = _Known(RingSealer(PublicRing.decode(ring)))
        except NightsafeError as error:
            message = f"the server's ring cannot be used: {error.problems[0].detail}; nothing was sent"
            raise SealingError(message, _ring_request(settings, place)) from None

    def seal(self, settings: Settings, place: Place) -> Seal:
        """What seals for a place whose ring is known.

        Raises:
            SealingError: when a seal is required and the server has no ring.
        """
        sealer = self._known[place.account_id].sealer
        if sealer is not None:
            return _sealing(sealer, place)
        if settings.seal == "require":
            raise SealingError(
                "sealing is required, and the server offers no public ring; nothing was sent",
                _ring_request(settings, place),
            )
        return leave


def leave(fields: Mapping[str, Any], _: str = "") -> Mapping[str, Any]:
    """A binding as it is."""
    return fields


def is_wanted(settings: Settings, place: Place) -> bool:
    """Whether values are to be sealed, if the server takes them so.

    Raises:
        SealingError: when it is required and cannot be done by this installation.
    """
    if not settings.seal or (settings.seal != "require" and settings.origin.host == _HAS_NONE):
        return False
    if _is_installed():
        return True
    if settings.seal == "require":
        message = "sealing is required, and is not installed; nothing was sent. Run: pip install 'nightsafe[seal]'"
        raise SealingError(message, _ring_request(settings, place))
    return False


def get_ring(place: Place) -> Call[bytes]:
    """The public ring of the server, as the JSON it is."""
    return make("GET", _ring_path(place), _read_ring, {})


def says_nothing(error: APIStatusError) -> bool:
    """Whether a refusal leaves open whether there is a ring: it may pass, leads elsewhere, or is for who asks."""
    if error.status_code in _NO_ANSWER or error.status_code >= _FIRST_OF_SERVER:
        return True
    return any(one.code in _CREDENTIALS_REFUSED for one in error.errors)


def is_stale(error: APIStatusError) -> bool:
    """Whether a refusal is for the key that was sealed to."""
    return any((one.pointer or "").endswith("/key_id") for one in error.errors)


def refusal(settings: Settings, place: Place, error: NightsafeError) -> SecretRefusedError:
    """The error for secrets that are none, in the API's words, made without asking it."""
    errors = [_as_json(problem) for problem in error.problems]
    body = {"result": None, "success": False, "errors": errors, "messages": []}
    return SecretRefusedError(
        f"Error code: 400 - {in_words(errors_in(body), '')} (nothing was sent)",
        response=Response(400, (), msgspec.json.encode(body)),
        request=Request("PUT", settings.origin, (settings.prefix + place.path).encode(), ()),
        body=body,
    )


def _as_json(problem: Problem) -> dict[str, object]:
    """One problem, as the API would put it."""
    code, message = _IN_WORDS.get(problem.code, _INVALID)
    source = {"pointer": problem.pointer or ""}
    return {"code": code, "message": message.replace("{detail}", problem.detail), "source": source}


@lru_cache(maxsize=1)
def _is_installed() -> bool:
    """Whether the extra `seal` is there."""
    return all(find_spec(name) is not None for name in ("cryptography", "rfc8785"))


def _ring_path(place: Place) -> str:
    """Where an account's ring is."""
    return f"/accounts/{segment('account_id', place.account_id)}/nightsafe/public-ring"


def _ring_request(settings: Settings, place: Place) -> Request:
    """The request for a ring, for an error to carry."""
    return Request("GET", settings.origin, (settings.prefix + _ring_path(place)).encode(), ())


class _RingEnvelope(msgspec.Struct):
    """The envelope a ring comes in."""

    result: msgspec.Raw
    success: bool = True


def _read_ring(content: bytes) -> bytes:
    """The ring out of its envelope; what does not say that it is one is none: a server may answer anything."""
    envelope = msgspec.json.decode(content, type=_RingEnvelope)
    ring = bytes(envelope.result)
    if not envelope.success or not msgspec.json.decode(ring, type=_Form).format.startswith(FORMAT):
        raise msgspec.ValidationError
    return ring


def _sealing(sealer: "RingSealer", place: Place) -> Seal:
    """What seals bindings of one script."""
    from nightsafe.bindings.parse import parse_secret  # noqa: PLC0415 - loads what only sealing needs
    from nightsafe.sealing.context import Context  # noqa: PLC0415 - the same
    from nightsafe.sealing.record import SealedValue  # noqa: PLC0415 - the same

    def seal(fields: Mapping[str, Any], at: str) -> Mapping[str, Any]:
        """A binding with its value sealed; one that has none, or a sealed one, as it is."""
        if fields.get("type") not in _KINDS or not _SEALED_MEMBERS.isdisjoint(fields):
            return fields
        as_received = msgspec.json.decode(msgspec.json.encode(fields))
        secret = parse_secret(as_received, at)
        if not isinstance(secret.value, SecretValue):
            return fields
        context = Context(
            account_id=place.account_id,
            namespace=place.namespace,
            script=place.script,
            name=secret.name,
            kind=secret.kind,
            public=secret.public(),
        )
        try:
            sealed = sealer.seal(context, secret.value)
        finally:
            secret.value.wipe()
        shown = msgspec.json.decode(secret.shown())
        return {**shown, "encrypted_value": msgspec.to_builtins(sealed), "key_id": SealedValue.parse(sealed).key_id}

    return seal
