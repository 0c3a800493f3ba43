"""Seals values before they are sent, so that the plaintext of a secret does not leave the process.

A server that accepts sealed values offers its public ring below each account: `docs/decisions/0004-the-client.md`.
Sealing needs the extra `seal`, and is loaded only when a server offers a ring.
"""

import logging
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from nightsafe.client.call import ScriptLocation
from nightsafe.client.calls import SealBinding
from nightsafe.client.errors import APIStatusError, SecretRefusedError, errors_in, join_messages
from nightsafe.client.messages import Request, Response
from nightsafe.client.rings.offer import Offer
from nightsafe.client.rings.offer import refusal as refusal_of_ring
from nightsafe.client.settings import KNOWN_RINGS, ClientSettings
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.secret_value import SecretValue

if TYPE_CHECKING:
    from nightsafe.client.rings.pinning import TrustedRings
    from nightsafe.sealing.rings.public_ring import PublicRing
    from nightsafe.sealing.sealer import RingSealer

_log: Final = logging.getLogger("nightsafe.client")
_SEALED_MEMBERS: Final = frozenset({"encrypted_value", "key_id"})
_KINDS: Final = frozenset({"secret_text", "secret_key"})
_API_ERRORS: Final = {
    Code.BINDING_UNNAMED: (10052, "Binding at index {detail} must have a name"),
    Code.BINDING_TOO_LARGE: (
        10054,
        "Text binding '{detail}' is too large. Text bindings must not exceed 5.1 kB.",
    ),
    Code.BINDING_NAME_TOO_LONG: (10100, "workers.api.error.binding_name_too_large: the limit is {detail} bytes."),
}
_INVALID: Final = (10021, "{detail}.")
_CLOUDFLARE_HOST: Final = "api.cloudflare.com"
_NO_ANSWER: Final = frozenset({*range(300, 400), 401, 408, 409, 425, 429})
_CREDENTIALS_REFUSED: Final = frozenset({1000, 6003, 9103, 9106, 9109})
_FIRST_SERVER_ERROR: Final = 500


class _AccountRing(NamedTuple):
    """The client's knowledge of one account's ring."""

    sealer: "RingSealer | None"
    """None when the server has no ring."""
    not_saved_reason: str = ""
    """The reason why the ring is remembered in this process only, or "" when it is in the file of known rings."""


class Rings:
    """The client's knowledge of a server's public rings, by account."""

    def __init__(self) -> None:
        self._rings: dict[str, _AccountRing] = {}

    @cached_property
    def _trust(self) -> "TrustedRings":
        """Return the pinned rings, and load their module at the first write."""
        from nightsafe.client.rings.pinning import TrustedRings  # noqa: PLC0415 - most clients only read

        return TrustedRings()

    def knows(self, location: ScriptLocation) -> bool:
        """Tell whether the ring for a place is known, or known to be absent."""
        return location.account_id in self._rings

    def use_ring_file(self, settings: ClientSettings, location: ScriptLocation) -> bool:
        """Use the ring from a file in the settings. Return False without such a file.

        Raises:
            SealingError: when the file cannot be used.
        """
        if settings.public_ring is None:
            return False
        from nightsafe.sealing.rings.public_ring import PublicRing  # noqa: PLC0415 - loads cryptography

        try:
            ring = PublicRing.load(Path(settings.public_ring))
        except NightsafeError as error:
            raise refusal_of_ring(settings, location, error.problems[0].detail) from None
        self._trust.trust(location, ring.identity)
        self._use(location, ring)
        return True

    def learn(self, settings: ClientSettings, location: ScriptLocation, offer: Offer | None) -> None:
        """Remember the ring that a server offers, or that it offers no ring.

        Raises:
            SealingError: when the ring cannot be used, or does not follow from the known ring; also when the server
                offers no ring although one is known.
        """
        if offer is None:
            self._trust.refuse_missing_ring(settings, location)
            self._rings[location.account_id] = _AccountRing(None)
            log_unsealed(f"{settings.base_url} offers no public ring")
            return
        ring = _decode_offer(settings, location, offer)
        not_saved_reason = self._trust.accept(settings, location, ring.identity, ring.lineage.links)
        self._use(location, ring, not_saved_reason)

    def _use(self, location: ScriptLocation, ring: "PublicRing", not_saved_reason: str = "") -> None:
        """Seal to a ring from now on."""
        from nightsafe.sealing.sealer import RingSealer  # noqa: PLC0415 - loads cryptography

        self._rings[location.account_id] = _AccountRing(RingSealer(ring), not_saved_reason)
        if not_saved_reason:
            _log.warning("the server's ring is remembered in this process only: %s", not_saved_reason)

    def seal(self, settings: ClientSettings, location: ScriptLocation) -> SealBinding:
        """Return the function that seals for a place whose ring is known.

        Raises:
            SealingError: when sealing is required and the server offers no ring, or its ring cannot be remembered.
        """
        known = self._rings[location.account_id]
        if settings.seal == "require" and known.not_saved_reason:
            raise refusal_of_ring(
                settings,
                location,
                f"sealing is required, but the ring cannot be remembered: {known.not_saved_reason}. Give the ring's "
                f"file as the public ring, or give a file for known rings with {KNOWN_RINGS}",
            )
        if known.sealer is not None:
            return _make_seal(known.sealer, location)
        if settings.seal == "require":
            raise refusal_of_ring(settings, location, "sealing is required, but the server offers no public ring")
        return leave_unsealed


def _decode_offer(settings: ClientSettings, location: ScriptLocation, offer: Offer) -> "PublicRing":
    """Return the ring that a server offers.

    Raises:
        SealingError: when the ring cannot be used.
    """
    from nightsafe.sealing.rings.public_ring import PublicRing  # noqa: PLC0415 - loads cryptography

    try:
        return PublicRing.decode(offer.ring).with_proof(offer.proof)
    except NightsafeError as error:
        reason = f"the server's ring cannot be used: {error.problems[0].detail}"
        raise refusal_of_ring(settings, location, reason) from None


def leave_unsealed(fields: Mapping[str, Any], _: str = "") -> Mapping[str, Any]:
    """Return a binding unchanged."""
    return fields


def is_sealing_enabled(settings: ClientSettings, location: ScriptLocation) -> bool:
    """Tell whether values must be sealed if the server accepts sealed values.

    Raises:
        SealingError: when sealing is required and not installed.
    """
    if not settings.seal:
        return False
    needed = settings.seal == "require" or settings.public_ring is not None
    if not needed and settings.origin.host == _CLOUDFLARE_HOST:
        log_unsealed(f"{_CLOUDFLARE_HOST} does not accept sealed values")
        return False
    if _is_installed():
        return True
    if needed:
        reason = "sealing is required but not installed. Run: pip install 'nightsafe[seal]'"
        raise refusal_of_ring(settings, location, reason)
    log_unsealed("sealing is not installed")
    return False


@lru_cache(maxsize=8)
def log_unsealed(reason: str) -> None:
    """Log once that values leave this process unsealed."""
    _log.info("values are sent unsealed: %s", reason)


def is_inconclusive(error: APIStatusError) -> bool:
    """Tell whether a refusal is no answer about the ring: a temporary failure, a redirect, or refused credentials."""
    if error.status_code in _NO_ANSWER or error.status_code >= _FIRST_SERVER_ERROR:
        return True
    return any(error_data.code in _CREDENTIALS_REFUSED for error_data in error.errors)


def is_stale(error: APIStatusError) -> bool:
    """Tell whether a refusal is about the key that the value was sealed to."""
    return any((error_data.pointer or "").endswith("/key_id") for error_data in error.errors)


def refusal(settings: ClientSettings, location: ScriptLocation, error: NightsafeError) -> SecretRefusedError:
    """Return the error for invalid secrets, with the API's messages but without a request to the API."""
    errors = [_problem_as_json(problem) for problem in error.problems]
    body = {"result": None, "success": False, "errors": errors, "messages": []}
    return SecretRefusedError(
        f"Error code: 400 - {join_messages(errors_in(body), '')} (nothing was sent)",
        response=Response(400, (), msgspec.json.encode(body)),
        request=Request("PUT", settings.origin, (settings.prefix + location.path).encode(), ()),
        body=body,
    )


def _problem_as_json(problem: Problem) -> dict[str, object]:
    """Return one problem in the form that the API uses."""
    code, message = _API_ERRORS.get(problem.code, _INVALID)
    source = {"pointer": problem.pointer or ""}
    return {"code": code, "message": message.replace("{detail}", problem.detail), "source": source}


@lru_cache(maxsize=1)
def _is_installed() -> bool:
    """Tell whether the extra `seal` is installed."""
    return all(find_spec(name) is not None for name in ("cryptography", "rfc8785"))


def _make_seal(sealer: "RingSealer", location: ScriptLocation) -> SealBinding:
    """Return the function that seals the bindings of one script."""
    from nightsafe.bindings.parse import parse_secret  # noqa: PLC0415 - loads what only sealing needs
    from nightsafe.sealing.context import Context  # noqa: PLC0415 - the same
    from nightsafe.sealing.record import SealedValue  # noqa: PLC0415 - the same

    def seal(fields: Mapping[str, Any], pointer: str) -> Mapping[str, Any]:
        """Return a binding with its value sealed; a binding without a value, or already sealed, stays unchanged."""
        if fields.get("type") not in _KINDS or not _SEALED_MEMBERS.isdisjoint(fields):
            return fields
        as_received = msgspec.json.decode(msgspec.json.encode(fields))
        secret = parse_secret(as_received, pointer)
        if not isinstance(secret.value, SecretValue):
            return fields
        context = Context(
            account_id=location.account_id,
            namespace=location.namespace,
            script=location.script,
            name=secret.name,
            kind=secret.kind,
            public=secret.public_metadata(),
        )
        try:
            sealed = sealer.seal(context, secret.value)
        finally:
            secret.value.wipe()
        public_fields = msgspec.json.decode(secret.public_json())
        return {
            **public_fields,
            "encrypted_value": msgspec.to_builtins(sealed),
            "key_id": SealedValue.parse(sealed).key_id,
        }

    return seal
