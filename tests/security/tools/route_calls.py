"""Calls every route of the API, with each existing name that its path can contain."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct
from tests.clients.planted_values import STORES
from tests.clients.wire.talk import JSON, SCRIPTS, Answer, Wire
from tests.security.tools.planted_server import Planted
from tests.server import ACCOUNT
from tests.unit.api.identity.test_access_table import routes
from tests.unit.api.tools.driver import Api

from nightsafe.api.http.routing import Resource
from nightsafe.identity.permissions import Action

_ACCOUNT = SCRIPTS.removesuffix("/workers/scripts")
_WORKER = f"{_ACCOUNT}/workers/workers/doors"
_NOT_THERE = "0" * 32


class Asked(Struct, frozen=True):
    """A call of a route, and its answer."""

    route: Resource
    path: str
    answer: Answer


def every_route() -> list[Resource]:
    """Return every route of the API."""
    with TemporaryDirectory() as folder, Api(Path(folder)) as api:
        return routes(api)


def names_there(planted: Planted) -> dict[str, list[str]]:
    """Return values for each parameter of a path: the names and ids of planted objects."""
    with planted.wire() as wire:

        def listed(path: str, member: str, *into: str) -> list[str]:
            """Return one member of each of the first three objects in a list."""
            found: Any = wire.ask("GET", path).result
            for name in into:
                found = found[name]
            return [one[member] for one in found][:3]

        script = next(one for one in wire.ask("GET", SCRIPTS).result if one["id"] == "doors")
        return {
            "account_id": [ACCOUNT],
            "script_name": ["doors", "script", "user", script["tag"]],
            "script_tag": [script["tag"]],
            "secret_name": ["S", "P", "kept"],
            "version_id": listed(f"{SCRIPTS}/doors/versions", "id", "items"),
            "deployment_id": listed(f"{SCRIPTS}/doors/deployments", "id", "deployments"),
            "namespace": ["doors"],
            "environment": ["production", "staging"],
            "project_name": ["doors"],
            "store_id": [planted.store_id],
            "secret_id": listed(f"{STORES}/{planted.store_id}/secrets", "id"),
            "tile": ["0/000.p/1", "entries/000.p/1"],
            "token_id": listed(f"{_ACCOUNT.removesuffix('/accounts/' + ACCOUNT)}/user/tokens", "id"),
            **{part: [_NOT_THERE] for part in ("preview", "deployment", "tag", "process", "check", "digest")},
        }


def paths(route: Resource, names: dict[str, list[str]]) -> Iterator[str]:
    """Yield the paths of a route. Add a new kind of path parameter to `names_there`."""
    template = route.path.replace(":path}", "}")
    parts = re.findall(r"{(\w+)}", template)
    for chosen in product(*(names[part] for part in parts)):
        yield template.format(**dict(zip(parts, chosen, strict=True)))


def ask_all(wire: Wire, names: dict[str, list[str]], *but: Action, writes: bool = True) -> Iterator[Asked]:
    """Call every route except the ones for some actions; writes have an invalid body, so that nothing changes."""
    for route in every_route():
        read = route.method == "GET"
        if route.action not in but and (read or (writes and route.method != "DELETE")):
            for path in paths(route, names):
                yield Asked(route, path, wire.ask(route.method, path, b"" if read else b"]", [] if read else [JSON]))
