"""`…/{script_name}/schedules`: kept and given back; nothing here runs them."""

from collections.abc import Iterable
from typing import Any

from nightsafe.api import shown
from nightsafe.api.call import Call
from nightsafe.api.envelope import Reply, success
from nightsafe.api.path import SCRIPT
from nightsafe.api.routing import Resource
from nightsafe.identity.permissions import Action
from nightsafe.workers.notices import of_schedules
from nightsafe.workers.standing import Schedule, parse_schedules
from nightsafe.workers.use_cases import UseCases


def resources(use: UseCases, at: str = SCRIPT) -> list[Resource]:
    """The routes of this page with their handlers, below the path of a script."""

    async def get(call: Call) -> Reply:
        """GET …/schedules."""
        return success(_shown(await use.standing.schedules(call.script)))

    async def put(call: Call) -> Reply:
        """PUT …/schedules."""
        crons = parse_schedules(await call.json())
        return success(_shown(await use.standing.set_schedules(call.caller, call.script, crons)), of_schedules(crons))

    return [
        Resource("GET", f"{at}/schedules", Action.READ_SCRIPTS, get),
        Resource("PUT", f"{at}/schedules", Action.WRITE_SCRIPTS, put),
    ]


def _shown(schedules: Iterable[Schedule]) -> dict[str, Any]:
    """Schedules as they go out."""
    return {
        "schedules": [
            {"cron": one.cron, "created_on": shown.time(one.created_on), "modified_on": shown.time(one.modified_on)}
            for one in schedules
        ]
    }
