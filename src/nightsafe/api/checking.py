"""`…/nightsafe/checks`: uploads whose code the delivery side has the runtime compile, before they are let in."""

from typing import Any, Final

import msgspec

from nightsafe.api.call import Call
from nightsafe.api.delivery import while_waited_for
from nightsafe.api.envelope import Reply, success
from nightsafe.api.path import ACCOUNT
from nightsafe.api.routing import Resource
from nightsafe.bundle.checking import LONGEST_WAIT, Verdict
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.workers.use_cases import UseCases

_CHECKS: Final = f"{ACCOUNT}/nightsafe/checks"


def resources(use: UseCases) -> list[Resource]:
    """The routes of this page with their handlers."""

    async def get_check(call: Call) -> Reply:
        """GET …/nightsafe/checks: the next upload to check, or null after a few seconds."""
        return success(await while_waited_for(call, use.checking.next(call.account_id, LONGEST_WAIT)))

    async def post_verdict(call: Call) -> Reply:
        """POST …/nightsafe/checks/{check}."""
        use.checking.tell(call.account_id, call.names["check"], _read(await call.json()).problem)
        return success(None)

    return [
        Resource("GET", _CHECKS, Action.DELIVER, get_check),
        Resource("POST", f"{_CHECKS}/{{check}}", Action.DELIVER, post_verdict),
    ]


def _read(raw: Any) -> Verdict:
    """A body as a verdict."""
    try:
        return msgspec.convert(raw, Verdict)
    except msgspec.ValidationError:
        raise NightsafeError(Code.INVALID, "'problem' must be a string", "/problem") from None
