"""Handlers for what Nightsafe does not do."""

from nightsafe.api.call import Call, Handler
from nightsafe.api.envelope import Reply
from nightsafe.errors import Code, NightsafeError


def refusing(what: str) -> Handler:
    """A handler that says what it is that Nightsafe does not do, whatever is asked and whatever is there.

    Args:
        what: after `Nightsafe does not`, without a full stop.
    """

    async def refuse(_: Call) -> Reply:
        """Refuse, without a look at the body."""
        raise NightsafeError(Code.UNSUPPORTED, what)

    return refuse
