"""Pins rings: the client remembers the first ring of each account, and accepts only rings that follow from it.

So an attacker who can alter later answers can neither substitute another ring nor claim that the server offers none.
"""

import logging
from typing import Final
from urllib.parse import quote

from nightsafe.client.call import ScriptLocation
from nightsafe.client.errors import SealingError
from nightsafe.client.rings.known_rings import CannotKeepError, ChooseRing, RingOwner, UnusableError, known_rings
from nightsafe.client.rings.offer import refusal
from nightsafe.client.settings import ClientSettings
from nightsafe.sealing.rings.lineage import Identity, Link, NotFollowedError, follow

_log: Final = logging.getLogger("nightsafe.client")


class TrustedRings:
    """The rings that one client trusts, by account."""

    def __init__(self) -> None:
        self._trusted: dict[str, Identity] = {}

    def trust(self, location: ScriptLocation, ring: Identity) -> None:
        """Trust a ring that the user gave, and the rings that follow from it."""
        self._trusted[location.account_id] = ring

    def accept(
        self, settings: ClientSettings, location: ScriptLocation, ring: Identity, links: tuple[Link, ...]
    ) -> str:
        """Remember a ring. Return the reason why it could not be remembered beyond this process, or "".

        Raises:
            SealingError: when the ring does not follow from the known ring, or the file cannot be trusted.
        """

        def choose_ring(known: Identity | None) -> Identity:
            """Return the ring to remember."""
            return ring if known is None else follow(known, ring, links)

        known = self._trusted.get(location.account_id)
        try:
            if settings.public_ring is not None:
                self._trusted[location.account_id] = choose_ring(known)
                return ""
            return self._remember(settings, location, choose_ring)
        except NotFollowedError as error:
            raise _refusal(settings, location, str(error), ring, self._known_ring(settings, location)) from None
        except UnusableError as error:
            raise refusal(settings, location, f"the file of known rings cannot be used: {error}") from None

    def refuse_missing_ring(self, settings: ClientSettings, location: ScriptLocation) -> None:
        """Refuse to continue without a ring when one is known.

        Raises:
            SealingError: when a ring is known, or the file cannot be trusted.
        """
        try:
            known = self._known_ring(settings, location)
        except UnusableError as error:
            raise refusal(settings, location, f"the file of known rings cannot be used: {error}") from None
        if known is not None:
            raise refusal(
                settings,
                location,
                f"{settings.base_url} offered a public ring for this account before ({known.fingerprint}), but no "
                "longer offers one. If that is intended, run: nightsafe ring forget",
            )

    def _remember(self, settings: ClientSettings, location: ScriptLocation, choose_ring: ChooseRing) -> str:
        """Remember the chosen ring in the file, or else in memory. Return why not in the file."""
        owner, file = ring_owner(settings.base_url, location.account_id), known_rings(settings.known_rings)
        if file is None:
            self._trusted[location.account_id] = choose_ring(self._trusted.get(location.account_id))
            return ""
        try:
            known = file.get(owner)
            ring = None if known is None else choose_ring(known)
            if ring is None or ring != known:
                ring = file.remember(owner, choose_ring)
                if known is None:
                    _log.info("the ring of %s is remembered from now on: %s", owner.server, ring.fingerprint)
        except CannotKeepError as error:
            self._trusted[location.account_id] = choose_ring(self._trusted.get(location.account_id))
            return str(error)
        self._trusted[location.account_id] = ring
        return ""

    def _known_ring(self, settings: ClientSettings, location: ScriptLocation) -> Identity | None:
        """Return the known ring, or None."""
        file = None if settings.public_ring is not None else known_rings(settings.known_rings)
        if file is not None:
            try:
                return file.get(ring_owner(settings.base_url, location.account_id))
            except CannotKeepError:
                pass
        return self._trusted.get(location.account_id)


def ring_owner(base_url: str, account_id: str) -> RingOwner:
    """Return the server and account of a ring, in the form of the file."""
    return RingOwner(quote(base_url, safe="!$%&'()*+,/:;=@[]~"), quote(account_id))


def _refusal(
    settings: ClientSettings, location: ScriptLocation, difference: str, ring: Identity, known: Identity | None
) -> SealingError:
    """Return the error for a ring that does not follow from the known ring."""
    before = "none" if known is None else known.fingerprint
    advice = (
        "give the right file as the public ring"
        if settings.public_ring is not None
        else "compare the offered ring with `nightsafe keys status` on the safe's machine, and then run: "
        "nightsafe ring trust"
    )
    return refusal(
        settings,
        location,
        f"the ring that {settings.base_url} offers {difference}. Known: {before}, offered: {ring.fingerprint}. If "
        f"its keys were replaced on purpose, {advice}",
    )
