"""Secrets of the account's Secrets Store, as Workers get them."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.clients.wire.talk import Answer, Wire
from tests.live.tools.running import HELLO, Run, attempt, secret, upload
from tests.server import ACCOUNT

STORES = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
ASKING = b"""
export default { async fetch(request, env) {
  try { return new Response(await env.S.get()); }
  catch (error) { return new Response(error.message, { status: 404 }); }
} };
"""
CLASSIC = b"addEventListener('fetch', (event) => event.respondWith(S.get().then((value) => new Response(value))));"
LOOKING = b"""
export default { async fetch(request, env) {
  const tries = [];
  for (const name of ["fetch", "ctx", "env", "props", "constructor", "value"]) {
    try { tries.push(String(await (typeof env.S[name] === "function" ? env.S[name]("http://x/") : env.S[name]))); }
    catch (error) { tries.push("refused"); }
  }
  return Response.json({ kind: typeof env.S.get, text: `${env.S}${JSON.stringify(env)}`, tries });
} };
"""


class Store:
    """A Secrets Store and the requests to it.

    Args:
        wire: a client with the owner's token.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.id: str = wire.send("POST", STORES, {"name": "main"}).result["id"]
        self.path = f"{STORES}/{self.id}/secrets"

    def make(self, name: str, value: str, *scopes: str) -> str:
        """Create a secret; return its id."""
        new = {"name": name, "value": value, "scopes": scopes or ["workers"]}
        return str(self.wire.send("POST", self.path, [new]).result[0]["id"])

    def ask(self, method: str, rest: str, value: object) -> Answer:
        """Send a request about one secret, which must succeed."""
        answer = self.wire.send(method, f"{self.path}/{rest}", value)
        assert 200 == answer.status, answer.body
        return answer

    def binding(self, secret: str, name: str = "S") -> dict[str, str]:
        """Return a binding to a secret."""
        return {"type": "secrets_store_secret", "name": name, "store_id": self.id, "secret_name": secret}


@pytest.fixture
def store(live: Run, wire: Wire) -> Iterator[Store]:
    """Yield a store, and delete it with its secrets."""
    assert live.workers
    store = Store(wire)
    yield store
    assert 200 == wire.ask("DELETE", f"{STORES}/{store.id}?force=true").status


def test_a_changed_value_is_seen_by_the_next_request(live: Run, wire: Wire, store: Store) -> None:
    """A script gets the current value: a change is seen by the next request after the change's answer."""
    first = store.make("A", "one")
    upload(wire, "stored", ASKING, store.binding("A"))
    assert "one" == live.workers.text("stored")

    for value in ("two", "three", "f\u00fcnf"):
        store.ask("PATCH", first, {"value": value})
        assert value == live.workers.text("stored")
    store.ask("PATCH", first, {"comment": "nothing of the value"})
    assert "f\u00fcnf" == live.workers.text("stored")


def test_a_duplicate_changes_by_itself(live: Run, wire: Wire, store: Store) -> None:
    """A duplicate has the value, without anybody sending it, under its own name, and then changes by itself."""
    code = b"export default { fetch: async (_, env) => new Response([await env.S.get(), await env.T.get()].join()) };"
    first = store.make("A", "one")
    second = store.ask("POST", f"{first}/duplicate", {"name": "B", "scopes": ["workers"]}).result["id"]
    upload(wire, "twice", code, store.binding("A"), store.binding("B", "T"))
    assert "one,one" == live.workers.text("twice")

    store.ask("PATCH", second, {"value": "two"})

    assert "one,two" == live.workers.text("twice")


def test_an_absent_secret_throws_until_it_is_there(live: Run, wire: Wire, store: Store) -> None:
    """The script runs on, and `get` throws; a secret that is added or removed later counts at once."""
    first = store.make("A", "early")
    upload(wire, "absent", ASKING, store.binding("A"))
    assert "early" == live.workers.text("absent")
    assert 200 == wire.ask("DELETE", f"{store.path}/{first}").status
    answer = live.workers.get("absent")
    assert (404, 'Secret "A" not found') == (answer.status_code, answer.text)

    made = store.make("A", "late")
    assert "late" == live.workers.text("absent")
    store.ask("PATCH", made, {"scopes": ["ai_gateway"]})
    assert 404 == live.workers.get("absent").status_code
    store.ask("PATCH", made, {"scopes": ["workers", "ai_gateway"]})
    assert "late" == live.workers.text("absent")
    assert 200 == wire.ask("DELETE", f"{store.path}/{made}").status
    assert 404 == live.workers.get("absent").status_code


def test_a_binding_that_leads_nowhere_is_refused(live: Run, wire: Wire) -> None:
    """A binding to an absent store, or without a valid name, is refused by name; the script is served as before."""
    upload(wire, "nowhere", HELLO, secret("TOKEN", "before"))
    nowhere = {"type": "secrets_store_secret", "name": "S", "store_id": "0" * 32, "secret_name": "A"}
    for binding in (nowhere, nowhere | {"store_id": 1}, {"type": "secrets_store_secret", "name": "S"}):
        answer = attempt(wire, "nowhere", ASKING, binding)
        assert (400, [10182]) == answer.refusal
        assert "Secrets Store binding 'S'" in answer.messages[0]
        assert "before" == live.workers.text("nowhere")


def test_a_classic_script_has_the_secret_as_a_global(live: Run, wire: Wire, store: Store) -> None:
    """A classic script has the secret as a global."""
    store.make("A", "one")
    upload(wire, "classic", CLASSIC, store.binding("A"), main_module=None, body_part="worker.js")

    assert "one" == live.workers.text("classic")


def test_a_stored_secret_is_an_object_with_get(live: Run, wire: Wire, store: Store) -> None:
    """As on Cloudflare it has `get()`; nothing else of it can be reached, and it does not show its value."""
    store.make("A", "hidden-away")
    upload(wire, "looking", LOOKING, store.binding("A"))

    told: Any = live.workers.get("looking").json()

    assert "function" == told["kind"]
    assert "hidden-away" not in str(told)


def test_a_change_in_a_store_reloads_only_bound_scripts(live: Run, wire: Wire, store: Store) -> None:
    """A change in a store reloads the scripts that are bound to it, and no other."""
    counting = b"let id = crypto.randomUUID; let n = 0; export default { fetch: () => new Response(String(++n)) };"
    made = store.make("A", "one")
    upload(wire, "bound", ASKING, store.binding("A"))
    upload(wire, "apart", counting)
    assert ("one", "1") == (live.workers.text("bound"), live.workers.text("apart"))

    store.ask("PATCH", made, {"value": "two"})

    assert ("two", "2") == (live.workers.text("bound"), live.workers.text("apart"))
