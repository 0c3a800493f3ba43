"""The safe that is fuzzed: the parts that requests may change, and the sentinels that no request may change."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from tests.clients.stored_values import opened, opened_held, opened_stored
from tests.clients.tokens import in_store, make_account, make_token, policy
from tests.clients.wire.talk import Answer, Wire, form
from tests.fuzz.api.request_maker import RequestParts
from tests.server import Safe, Server
from tests.unit.api.tools.driver import Api

from nightsafe.identity.permissions import DELIVERY, RESEALING
from nightsafe.identity.policy import ACCOUNT_RESOURCE
from nightsafe.store.collections import Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding, ScriptRef

VALUE: Final = "sentinel-value-that-no-answer-holds"
_SCRIPTS_WRITE, _SCRIPTS_READ = "e086da7e2179491d91ee5f35b3ca210a", "1a71c399035b4950a1bd1466bbe4f420"
_PAGES_READ, _STORES_READ = "e247aedd66bd41cc9193af0213416666", "6e696768747361666573746f72657265"
_ACCOUNT_READ, _TOKENS_WRITE = "c1fde68c7bcc44588cbb6ddbc16d6480", "5bc3f8b21c554832afc660159ab75fa4"
_PAGES_WRITE, _STORES_WRITE = "8d28297797f24fb8a0c332fe0866ec89", "6e696768747361666573746f72657772"
_GLOBS: Final = ("fuzz-*", "fuzz-ns/*")
_SENTINELS: Final = ("sentinel-0", "sentinel-1")


class FuzzedSafe(Struct, frozen=True):
    """A safe with two accounts, each with sentinels.

    Attributes:
        main: the account that requests write to.
        other: the same safe's other account, which has a delivery process.
        credentials: headers by their purpose.
        token_id: the id of a token that requests may change.
    """

    main: Safe
    other: Safe
    credentials: Mapping[str, tuple[tuple[str, str], ...]]
    token_id: str


def make_fuzzed_safe(safe: Safe) -> FuzzedSafe:
    """Create another account, and tokens for each kind of request."""
    also = make_account(safe)
    other = Safe(
        path=safe.path, account_id=also.account_id, api_token=also.api_token, email=also.email, api_key=also.api_key
    )
    scripts = {f"com.nightsafe.script.{glob}": "*" for glob in _GLOBS}
    limited = policy(_SCRIPTS_WRITE, account_id=safe.account_id) | {
        "resources": {ACCOUNT_RESOURCE + safe.account_id: scripts}
    }
    reads = (_SCRIPTS_READ, _PAGES_READ, _STORES_READ, _ACCOUNT_READ)
    made = {
        "read": make_token(safe, policy(*reads, account_id=safe.account_id))[0],
        "write": make_token(safe, limited, policy(_PAGES_WRITE, _STORES_WRITE, account_id=safe.account_id))[0],
        "tokens": make_token(safe, limited, policy(_TOKENS_WRITE, account_id=safe.account_id))[0],
        "delivery": make_token(safe, policy(DELIVERY, account_id=other.account_id))[0],
        "resealing": make_token(safe, policy(RESEALING, account_id=safe.account_id))[0],
        "bad": "nst_" + "0" * 38,
        "malformed": "\xff" * 9,
    }
    headers = {name: (("Authorization", f"Bearer {token}"),) for name, token in made.items()}
    owner = (("X-Auth-Email", safe.email), ("X-Auth-Key", safe.api_key))
    return FuzzedSafe(safe, other, headers | {"none": (), "owner": owner}, make_token(safe, limited)[1].id)


def settle(server: Server, fuzzed: FuzzedSafe) -> RequestParts:
    """Upload what requests refer to, and the sentinels; return the parts that requests are made of."""
    ids = {"token": fuzzed.token_id}
    for safe in (fuzzed.main, fuzzed.other):
        with Wire(server.port, [("Authorization", f"Bearer {safe.api_token}")]) as wire:
            _plant(wire, f"/client/v4/accounts/{safe.account_id}")
            more = _prepare if safe is fuzzed.main else _store_sentinel
            ids |= more(wire, f"/client/v4/accounts/{safe.account_id}")
    accounts = fuzzed.main.account_id, fuzzed.other.account_id
    return RequestParts(server.port, known_routes(), accounts, fuzzed.credentials, ids)


def known_routes() -> list[tuple[str, str]]:
    """Return every method and path of the application, from its own router, so that the list is never out of date."""
    with tempfile.TemporaryDirectory() as folder, Api(Path(folder)) as api:
        routes: Any = api.app._router
        found = [(method, route.path) for route in routes.routes for method in route.endpoint._by_method]
    return [*found, ("GET", "/livez"), ("GET", "/readyz")]


def sentinels(fuzzed: FuzzedSafe, store_id: str) -> dict[str, str]:
    """Return the digest of each stored sentinel, after its value was opened as the delivery process would.

    Raises:
        AssertionError: when a sentinel is gone, or has another value.
    """
    found: dict[str, str] = {}
    for safe in (fuzzed.main, fuzzed.other):
        for script in _SENTINELS:
            assert opened(safe, script)["SENTINEL"] == VALUE
            found[f"{safe.account_id}/{script}"] = _sealed(safe, ScriptRef(safe.account_id, script))
        assert opened(safe, "sentinel-2", "sentinel-ns")["SENTINEL"] == VALUE
        found[f"{safe.account_id}/ns"] = _sealed(safe, ScriptRef(safe.account_id, "sentinel-2", "sentinel-ns"))
    assert opened_held(fuzzed.other, Kind.PAGES_PROJECT, "sentinel-project", "production")["SENTINEL"] == VALUE
    assert opened_stored(fuzzed.other, store_id)["SENTINEL"] == VALUE
    return found


def _sealed(safe: Safe, ref: ScriptRef) -> str:
    """Return the SHA-256 of a sentinel's stored record."""

    async def read(store: Store) -> list[Binding]:
        """Return the bindings as they are stored."""
        return await store.bindings(ref)

    sealed = {binding.name: binding.sealed for binding in in_store(safe, read)}["SENTINEL"]
    assert sealed is not None
    return hashlib.sha256(sealed).hexdigest()


def _plant(wire: Wire, at: str) -> None:
    """Upload scripts, one of them in a namespace, and a project, each with a sentinel."""
    secret = {"name": "SENTINEL", "type": "secret_text", "text": VALUE}
    _done(wire.send("POST", f"{at}/workers/dispatch/namespaces", {"name": "sentinel-ns"}))
    scripts = [f"{at}/workers/scripts/{name}" for name in _SENTINELS]
    for script in (*scripts, f"{at}/workers/dispatch/namespaces/sentinel-ns/scripts/sentinel-2"):
        _upload(wire, script)
        _done(wire.send("PUT", f"{script}/secrets", secret))
    configs = {"production": {"env_vars": {"SENTINEL": {"type": "secret_text", "value": VALUE}}}}
    project = {"name": "sentinel-project", "production_branch": "main", "deployment_configs": configs}
    _done(wire.send("POST", f"{at}/pages/projects", project))


def _prepare(wire: Wire, at: str) -> dict[str, str]:
    """Upload what requests refer to; return the ids that requests can name."""
    scripts, ids = f"{at}/workers/scripts", {}
    _done(wire.send("POST", f"{at}/workers/dispatch/namespaces", {"name": "fuzz-ns"}))
    for name in ("fuzz-0", "fuzz-1"):
        _upload(wire, f"{scripts}/{name}")
        _upload(wire, f"{at}/workers/dispatch/namespaces/fuzz-ns/scripts/{name}")
    ids["version"] = _done(wire.ask("GET", f"{scripts}/fuzz-0/versions"))["items"][0]["id"]
    ids["deployment"] = _done(wire.ask("GET", f"{scripts}/fuzz-0/deployments"))["deployments"][0]["id"]
    ids["store"] = _done(wire.send("POST", f"{at}/secrets_store/stores", {"name": "fuzz-store"}))["id"]
    secret = [{"name": "SS", "value": "v", "scopes": ["workers"]}]
    ids["secret"] = _done(wire.send("POST", f"{at}/secrets_store/stores/{ids['store']}/secrets", secret))[0]["id"]
    project = {"name": "fuzz-project", "production_branch": "main"}
    _done(wire.send("POST", f"{at}/pages/projects", project))
    return ids


def _store_sentinel(wire: Wire, at: str) -> dict[str, str]:
    """Create a store with a sentinel; return their ids."""
    store = _done(wire.send("POST", f"{at}/secrets_store/stores", {"name": "sentinel-store"}))["id"]
    secret = [{"name": "SENTINEL", "value": VALUE, "scopes": ["workers"]}]
    made = _done(wire.send("POST", f"{at}/secrets_store/stores/{store}/secrets", secret))
    return {"sentinel_store": store, "sentinel_secret": made[0]["id"]}


def _upload(wire: Wire, at: str) -> None:
    """Upload a script."""
    content_type, body = form({"metadata": b'{"main_module":"worker.js"}'})
    _done(wire.ask("PUT", at, body, [("Content-Type", content_type)]))


def _done(answer: Answer) -> Any:
    """Return the result of a request, which must succeed."""
    return answer.result
