"""Serves `…/nightsafe/checks`: a delivery process compiles uploaded code on the runtime before it is admitted."""

from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from nightsafe.api.delivery.change_feed import result_unless_disconnected
from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.streaming import File, slices_of, success_with_files
from nightsafe.bundle.code_checks import LONGEST_WAIT, CodeCheck, Verdict
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services

_CHECKS: Final = f"{ACCOUNT}/nightsafe/checks"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_check(call: Call) -> Reply:
        """GET …/nightsafe/checks: the next upload to check, or null after a few seconds."""
        check = await result_unless_disconnected(call, services.code_checks.next(call.account_id, LONGEST_WAIT))
        return success(None) if check is None else to_json(check)

    async def post_verdict(call: Call) -> Reply:
        """POST …/nightsafe/checks/{check}."""
        services.code_checks.record_verdict(
            call.account_id, call.names["check"], _parse_body(await call.json()).problem
        )
        return success(None)

    return [
        Resource("GET", _CHECKS, Action.DELIVER, get_check, polled=True),
        Resource("POST", f"{_CHECKS}/{{check}}", Action.DELIVER, post_verdict),
    ]


def to_json(check: CodeCheck) -> Reply:
    """Return a check with the contents of its modules."""
    fields = {name: value for name, value in asdict(check).items() if name != "modules"}
    files = [
        File(
            {"name": module.name, "content_type": module.content_type},
            len(module.body),
            partial(slices_of, module.body),
        )
        for module in check.modules
    ]
    return success_with_files(fields, files, "body")


def _parse_body(raw: Any) -> Verdict:
    """Read a body as a verdict."""
    try:
        return msgspec.convert(raw, Verdict)
    except msgspec.ValidationError:
        raise NightsafeError(Code.INVALID, "'problem' must be a string", "/problem") from None
