"""Serves `…/{script_name}/subdomain`, `…/{script_name}/schedules` and the account's `/workers/subdomain`.

Nightsafe does not serve workers.dev. The subdomain of a script says whether the script can be reached from outside at
all. The account has a subdomain name nevertheless, because wrangler does not deploy without one. wrangler prints a
link made of `https://`, the script's name, this name and `.workers.dev`. If the operator has set the domain of
Workers, the name is that domain followed by `/#`, so that `.workers.dev` becomes the fragment and the link leads to
the script. Otherwise the name contains an underscore: nobody can ever register such a name, so the link never leads
to a stranger.

Schedules are stored and returned; Nightsafe does not run them.
"""

from collections.abc import Iterable
from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT, SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.unsupported.routes import unsupported
from nightsafe.bindings.json_fields import need_object, need_string
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.notices import schedule_notices
from nightsafe.services.scripts.triggers import Schedule, parse_schedules, parse_subdomain
from nightsafe.services.services import Services

_OF_ACCOUNT = f"{ACCOUNT}/workers/subdomain"
_SHOWN_DIGITS = 8
_WORKERS_DEV = "serve workers.dev: the account's subdomain is a placeholder and cannot be changed"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers. Every caller that sees the account may read its name."""

    async def get_name(call: Call) -> Reply:
        """GET /workers/subdomain."""
        return success({"subdomain": _name(call.account_id, services.delivery_options.domain)})

    async def put_name(call: Call) -> Reply:
        """PUT /workers/subdomain: accepts only the current name."""
        name = need_string(need_object(await call.json(), "", "the body"), "subdomain", "")
        if name != _name(call.account_id, services.delivery_options.domain):
            raise NightsafeError(Code.UNSUPPORTED, _WORKERS_DEV, "/subdomain")
        return success({"subdomain": name})

    return [
        Resource("GET", _OF_ACCOUNT, None, get_name),
        Resource("PUT", _OF_ACCOUNT, Action.WRITE_SCRIPTS, put_name),
        Resource("DELETE", _OF_ACCOUNT, Action.WRITE_SCRIPTS, unsupported(_WORKERS_DEV)),
        *script_routes(services),
    ]


def script_routes(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of the subdomain and the schedules of one script, below its path."""

    async def get_subdomain(call: Call) -> Reply:
        """GET …/subdomain."""
        return success(await services.triggers.subdomain(call.script))

    async def post_subdomain(call: Call) -> Reply:
        """POST …/subdomain."""
        members = parse_subdomain(await call.json())
        return success(await services.triggers.set_subdomain(call.caller, call.script, members))

    async def delete_subdomain(call: Call) -> Reply:
        """DELETE …/subdomain."""
        return success(await services.triggers.reset_subdomain(call.caller, call.script))

    async def get_schedules(call: Call) -> Reply:
        """GET …/schedules."""
        return success(to_json(await services.triggers.schedules(call.script)))

    async def put_schedules(call: Call) -> Reply:
        """PUT …/schedules."""
        crons = parse_schedules(await call.json())
        return success(
            to_json(await services.triggers.set_schedules(call.caller, call.script, crons)), schedule_notices(crons)
        )

    return [
        Resource("GET", f"{at}/subdomain", Action.READ_SCRIPTS, get_subdomain),
        Resource("POST", f"{at}/subdomain", Action.WRITE_SCRIPTS, post_subdomain),
        Resource("DELETE", f"{at}/subdomain", Action.WRITE_SCRIPTS, delete_subdomain),
        Resource("GET", f"{at}/schedules", Action.READ_SCRIPTS, get_schedules),
        Resource("PUT", f"{at}/schedules", Action.WRITE_SCRIPTS, put_schedules),
    ]


def _name(account_id: str, domain: str) -> str:
    """Return the name of an account's subdomain, which never changes."""
    return f"{domain}/#" if domain else f"nightsafe_{account_id[:_SHOWN_DIGITS]}"


def to_json(schedules: Iterable[Schedule]) -> dict[str, Any]:
    """Return schedules as JSON."""
    return {
        "schedules": [
            {
                "cron": schedule.cron,
                "created_on": views.time(schedule.created_on),
                "modified_on": views.time(schedule.modified_on),
            }
            for schedule in schedules
        ]
    }
