"""Pins rings: the client remembers the first ring of each account, and accepts only rings that follow from it.

So an attacker who can alter later answers can neither substitute another ring nor claim that the server offers none.
"""

import logging
from typing import Final
from urllib.parse import quote

from nightsafe.client.call import Place
from nightsafe.client.errors import SealingError
from nightsafe.client.rings.known_rings import CannotKeepError, Judge, UnusableError, Whose, known_rings
from nightsafe.client.rings.offer import refusal
from nightsafe.client.settings import Settings
from nightsafe.sealing.rings.lineage import Identity, Link, NotFollowedError, follow

_log: Final = logging.getLogger("nightsafe.client")


class Trust:
    """The rings that one client trusts, by account."""

    def __init__(self) -> None:
        self._seen: dict[str, Identity] = {}

    def begin_with(self, place: Place, ring: Identity) -> None:
        """Trust a ring that the user gave, and the rings that follow from it."""
        self._seen[place.account_id] = ring

    def accept(self, settings: Settings, place: Place, ring: Identity, links: tuple[Link, ...]) -> str:
        """Remember a ring. Return the reason why it could not be remembered beyond this process, or "".

        Raises:
            SealingError: when the ring does not follow from the known ring, or the file cannot be trusted.
        """

        def judge(known: Identity | None) -> Identity:
            """Return the ring to remember."""
            return ring if known is None else follow(known, ring, links)

        known = self._seen.get(place.account_id)
        try:
            if settings.public_ring is not None:
                self._seen[place.account_id] = judge(known)
                return ""
            return self._remember(settings, place, judge)
        except NotFollowedError as error:
            raise _refused(settings, place, str(error), ring, self._believed(settings, place)) from None
        except UnusableError as error:
            raise refusal(settings, place, f"the file of known rings cannot be used: {error}") from None

    def refuse_lost(self, settings: Settings, place: Place) -> None:
        """Refuse to continue without a ring when one is known.

        Raises:
            SealingError: when a ring is known, or the file cannot be trusted.
        """
        try:
            known = self._believed(settings, place)
        except UnusableError as error:
            raise refusal(settings, place, f"the file of known rings cannot be used: {error}") from None
        if known is not None:
            raise refusal(
                settings,
                place,
                f"{settings.base_url} offered a public ring for this account before ({known.fingerprint}), but no "
                "longer offers one. If that is intended, run: nightsafe ring forget",
            )

    def _remember(self, settings: Settings, place: Place, judge: Judge) -> str:
        """Remember the ring that `judge` returns: in the file, or else in memory. Return why not in the file."""
        whose, file = whose_ring(settings.base_url, place.account_id), known_rings(settings.known_rings)
        if file is None:
            self._seen[place.account_id] = judge(self._seen.get(place.account_id))
            return ""
        try:
            known = file.get(whose)
            found = None if known is None else judge(known)
            if found is None or found != known:
                found = file.keep(whose, judge)
                if known is None:
                    _log.info("the ring of %s is remembered from now on: %s", whose.server, found.fingerprint)
        except CannotKeepError as error:
            self._seen[place.account_id] = judge(self._seen.get(place.account_id))
            return str(error)
        self._seen[place.account_id] = found
        return ""

    def _believed(self, settings: Settings, place: Place) -> Identity | None:
        """Return the known ring, or None."""
        file = None if settings.public_ring is not None else known_rings(settings.known_rings)
        if file is not None:
            try:
                return file.get(whose_ring(settings.base_url, place.account_id))
            except CannotKeepError:
                pass
        return self._seen.get(place.account_id)


def whose_ring(base_url: str, account_id: str) -> Whose:
    """Return the server and account of a ring, in the form of the file."""
    return Whose(quote(base_url, safe="!$%&'()*+,/:;=@[]~"), quote(account_id))


def _refused(settings: Settings, place: Place, how: str, ring: Identity, known: Identity | None) -> SealingError:
    """Return the error for a ring that does not follow from the known ring."""
    before = "none" if known is None else known.fingerprint
    way_out = (
        "give the right file as the public ring"
        if settings.public_ring is not None
        else "compare the offered ring with `nightsafe keys status` on the safe's machine, and then run: "
        "nightsafe ring trust"
    )
    return refusal(
        settings,
        place,
        f"the ring that {settings.base_url} offers {how}. Known: {before}, offered: {ring.fingerprint}. If its keys "
        f"were replaced on purpose, {way_out}",
    )
