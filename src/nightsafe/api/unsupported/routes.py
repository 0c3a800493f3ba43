"""Serves routes of products that Nightsafe does not offer: an empty list for reads, a refusal for changes."""

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.path import ACCOUNT, SCRIPT
from nightsafe.api.http.request import Call, Handler
from nightsafe.api.http.routing import Resource
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services

_KV = f"{ACCOUNT}/storage/kv/namespaces"
_DURABLE_OBJECTS = f"{ACCOUNT}/workers/durable_objects/namespaces"
_LIVE = (
    "remove them from the configuration and deploy again; the code is already uploaded, and wrangler has switched "
    "off the Worker's host name unless workers_dev is true"
)
_DOMAINS = f"{ACCOUNT}/workers/domains"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers.

    Every caller that sees the account gets the empty lists.
    """
    return [
        Resource("GET", _KV, None, _empty_list),
        Resource("POST", _KV, Action.WRITE_SCRIPTS, unsupported("keep KV namespaces")),
        Resource("GET", _DURABLE_OBJECTS, None, _empty_list),
        Resource("GET", f"{_DOMAINS}/records", None, _empty_reply),
        Resource("GET", _DOMAINS, None, _empty_reply),
        Resource(
            "PUT",
            _DOMAINS,
            Action.WRITE_SCRIPTS,
            unsupported(f"serve custom domains: {_LIVE}"),
        ),
        *script_routes(services),
    ]


def script_routes(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes below a script whose lists are always empty."""

    async def list_none(call: Call) -> Reply:
        """GET …/routes and …/tails."""
        await services.scripts.get(call.script)
        return success([])

    async def put_routes(call: Call) -> Reply:
        """PUT …/routes: accepts an empty list and refuses any other."""
        if await call.json() != []:
            raise NightsafeError(
                Code.UNSUPPORTED,
                f"have zones, so a Worker has no routes: {_LIVE}",
            )
        return await list_none(call)

    return [
        Resource("GET", f"{at}/routes", Action.READ_SCRIPTS, list_none),
        Resource("PUT", f"{at}/routes", Action.WRITE_SCRIPTS, put_routes),
        Resource("GET", f"{at}/tails", Action.READ_SCRIPTS, list_none),
        Resource("POST", f"{at}/tails", Action.WRITE_SCRIPTS, unsupported("stream a Worker's logs")),
    ]


async def _empty_list(call: Call) -> Reply:
    """Return an empty page of a paged list."""
    return page_reply([], page_of(fields_of(call.query)), 0)


async def _empty_reply(_: Call) -> Reply:
    """Return an empty list for any query."""
    return success([])


def unsupported(what: str) -> Handler:
    """Return a handler that refuses every request with the name of the missing feature.

    Args:
        what: the rest of the sentence that begins with `Nightsafe does not`, without a full stop.
    """

    async def refuse(_: Call) -> Reply:
        """Refuse the request without reading its body."""
        raise NightsafeError(Code.UNSUPPORTED, what)

    return refuse
