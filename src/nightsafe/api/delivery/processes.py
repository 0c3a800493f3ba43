"""Serves `…/nightsafe/processes`: the delivery processes, and the scripts that they do not serve as deployed."""

import re
from typing import Any, Final

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.bundle.processes import HeldScript, HeldScriptsReport, WaitingScript
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.services.delivery.processes import Process
from nightsafe.services.services import Services

_AT: Final = f"{ACCOUNT}/nightsafe/processes"
_MICROSECONDS: Final = 1_000_000
_PROCESS: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_processes(call: Call) -> Reply:
        """GET …/nightsafe/processes, with the held scripts that the caller may read."""
        return success([to_json(call, process) for process in services.processes.list(call.account_id)])

    async def put_report(call: Call) -> Reply:
        """PUT …/nightsafe/processes/{process}."""
        process = call.names["process"]
        if not _PROCESS.fullmatch(process):
            raise NightsafeError(Code.MALFORMED_PARAMETER, "process")
        try:
            report = msgspec.convert(await call.json(), HeldScriptsReport)
        except msgspec.ValidationError:
            raise NightsafeError(
                Code.INVALID,
                "'held' must be a list of objects with 'script', 'until' and 'reason'; 'waiting', if given, a list of"
                " objects with 'script', 'versions' and 'serving'; 'problems', if given, a list of objects with"
                " 'script' and 'reason'",
                "/held",
            ) from None
        services.processes.record_report(call.account_id, (call.caller.principal.id, process), report)
        return success({"held": len(report.held)})

    return [
        Resource("GET", _AT, Action.READ_SCRIPTS, get_processes),
        Resource("PUT", f"{_AT}/{{process}}", Action.DELIVER, put_report),
    ]


def to_json(call: Call, process: Process) -> dict[str, Any]:
    """Return a process as JSON."""
    return {
        "name": process.name,
        "acted_on": process.acted_on,
        "asked_seconds_ago": round(process.seconds_since_request, 1),
        "reseals": process.reseals,
        "waiting": [_waiting(waiting) for waiting in process.waiting if _may_see(call, waiting.script)],
        "problems": [
            {"script": problem.script, "reason": problem.reason}
            for problem in process.problems
            if not problem.script or _may_see(call, problem.script)
        ],
        "held": [_held(held_script) for held_script in process.held if _may_see(call, held_script.script)],
    }


def _held(held_script: HeldScript) -> dict[str, str]:
    """Return a held script as JSON."""
    return {
        "script": held_script.script,
        "until": format_time(int(held_script.until) * _MICROSECONDS),
        "reason": held_script.reason,
    }


def _waiting(waiting: WaitingScript) -> dict[str, object]:
    """Return a script that waits for an approval as JSON."""
    return {"script": waiting.script, "versions": waiting.versions, "serving": waiting.serving}


def _may_see(call: Call, script: str) -> bool:
    """Tell whether the caller may read a script."""
    grants = call.caller.principal.grants
    return grants.allow(Action.READ_SCRIPTS, policy.Resource(call.account_id, script))
