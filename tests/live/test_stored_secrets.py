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
    """A store, and what is done with it.

    Args:
        wire: the account's owner.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.id: str = wire.send("POST", STORES, {"name": "main"}).result["id"]
        self.path = f"{STORES}/{self.id}/secrets"

    def make(self, name: str, value: str, *scopes: str) -> str:
        """A new secret's id."""
        new = {"name": name, "value": value, "scopes": scopes or ["workers"]}
        return str(self.wire.send("POST", self.path, [new]).result[0]["id"])

    def ask(self, method: str, rest: str, value: object) -> Answer:
        """Something about one secret."""
        answer = self.wire.send(method, f"{self.path}/{rest}", value)
        assert 200 == answer.status, answer.body
        return answer

    def binding(self, secret: str, name: str = "S") -> dict[str, str]:
        """A binding to a secret."""
        return {"type": "secrets_store_secret", "name": name, "store_id": self.id, "secret_name": secret}


@pytest.fixture
def store(live: Run, wire: Wire) -> Iterator[Store]:
    """A store, deleted with all that is in it."""
    assert live.workers
    store = Store(wire)
    yield store
    assert 200 == wire.ask("DELETE", f"{STORES}/{store.id}?force=true").status


def test_a_value_and_its_changes(live: Run, wire: Wire, store: Store) -> None:
    """What a script gets is the value of the moment: a change is seen by the next request after its answer."""
    first = store.make("A", "one")
    upload(wire, "stored", ASKING, store.binding("A"))
    assert "one" == live.workers.text("stored")

    for value in ("two", "three", "f\u00fcnf"):
        store.ask("PATCH", first, {"value": value})
        assert value == live.workers.text("stored")
    store.ask("PATCH", first, {"comment": "nothing of the value"})
    assert "f\u00fcnf" == live.workers.text("stored")


def test_a_duplicate_and_two_names(live: Run, wire: Wire, store: Store) -> None:
    """A duplicate has the value that nobody had to know, under its own name, and goes its own way from then on."""
    code = b"export default { fetch: async (_, env) => new Response([await env.S.get(), await env.T.get()].join()) };"
    first = store.make("A", "one")
    second = store.ask("POST", f"{first}/duplicate", {"name": "B", "scopes": ["workers"]}).result["id"]
    upload(wire, "twice", code, store.binding("A"), store.binding("B", "T"))
    assert "one,one" == live.workers.text("twice")

    store.ask("PATCH", second, {"value": "two"})

    assert "one,two" == live.workers.text("twice")


def test_what_is_not_there(live: Run, wire: Wire, store: Store) -> None:
    """The script runs on, and is told when it asks; a secret that comes later is there then, one that goes is not."""
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


def test_a_binding_that_leads_nowhere(live: Run, wire: Wire) -> None:
    """To a store that is not there, or to what is no name: it is refused by name, and what is served is served on."""
    upload(wire, "nowhere", HELLO, secret("TOKEN", "before"))
    nowhere = {"type": "secrets_store_secret", "name": "S", "store_id": "0" * 32, "secret_name": "A"}
    for binding in (nowhere, nowhere | {"store_id": 1}, {"type": "secrets_store_secret", "name": "S"}):
        answer = attempt(wire, "nowhere", ASKING, binding)
        assert (400, [10182]) == answer.refusal
        assert "Secrets Store binding 'S'" in answer.messages[0]
        assert "before" == live.workers.text("nowhere")


def test_a_classic_script(live: Run, wire: Wire, store: Store) -> None:
    """Has it as a global."""
    store.make("A", "one")
    upload(wire, "classic", CLASSIC, store.binding("A"), main_module=None, body_part="worker.js")

    assert "one" == live.workers.text("classic")


def test_what_else_it_is(live: Run, wire: Wire, store: Store) -> None:
    """An object with `get()`, as on Cloudflare; nothing else of it is within reach, and it does not show itself."""
    store.make("A", "hidden-away")
    upload(wire, "looking", LOOKING, store.binding("A"))

    told: Any = live.workers.get("looking").json()

    assert "function" == told["kind"]
    assert "hidden-away" not in str(told)


def test_only_those_who_are_bound_are_told(live: Run, wire: Wire, store: Store) -> None:
    """A change of a store wakes the scripts that are bound to it, and no other."""
    counting = b"let id = crypto.randomUUID; let n = 0; export default { fetch: () => new Response(String(++n)) };"
    made = store.make("A", "one")
    upload(wire, "bound", ASKING, store.binding("A"))
    upload(wire, "apart", counting)
    assert ("one", "1") == (live.workers.text("bound"), live.workers.text("apart"))

    store.ask("PATCH", made, {"value": "two"})

    assert ("two", "2") == (live.workers.text("bound"), live.workers.text("apart"))
