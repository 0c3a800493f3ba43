"""The account's Secrets Store: stores, and secrets whose values no answer shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools.collections import SPREAD, events, opened_stored
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api
from tests.unit.api.tools.values import holds_plant, planted

from nightsafe.services.limits import Limits

ROOT = f"/client/v4/accounts/{ACCOUNT}/secrets_store"
STORES = f"{ROOT}/stores"
NOWHERE = "0" * 32


class SecretsStore:
    """A store, with methods for its requests.

    Args:
        api: an API with the account.
        name: the store's name.
    """

    def __init__(self, api: Api, name: str = "main") -> None:
        self.api = api
        self.id: str = api.json("POST", STORES, {"name": name}).result["id"]
        self.path = f"{STORES}/{self.id}"

    def ask(self, method: str, rest: str = "", value: object = None) -> Answer:
        """Send a request below the store's path."""
        path = self.path + rest
        return self.api.send(method, path) if value is None else self.api.json(method, path, value)

    def make(self, *secrets: dict[str, Any]) -> list[str]:
        """Make secrets; return their ids."""
        return [made["id"] for made in self.ask("POST", "/secrets", secrets).result]

    def names(self, query: str = "") -> list[str]:
        """Return the names of the secrets in the list."""
        return [listed["name"] for listed in self.ask("GET", f"/secrets{query}").result]

    def value(self, name: str) -> bytes:
        """Return the value of a secret."""
        return opened_stored(self.api, self.id, name)


@pytest.fixture
def store(own_api: Api) -> SecretsStore:
    """Return an empty store."""
    return SecretsStore(own_api)


@pytest.fixture(scope="module")
def empty(api: Api) -> SecretsStore:
    """Return a store that stays empty."""
    return SecretsStore(api)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with limits of three stores and three secrets."""
    with Api(tmp_path, Limits(max_stores=3, max_store_secrets=3)) as api:
        yield api


def secret(name: str, value: str = "a value", *scopes: str, **more: Any) -> dict[str, Any]:
    """Return a secret in the form of a request."""
    return {"name": name, "value": value, "scopes": scopes or ["workers"], **more}


def test_a_deleted_store_is_gone(own_api: Api) -> None:
    """A store is listed and shown by ID until it is deleted."""
    store = SecretsStore(own_api)
    shown = store.ask("GET").result

    assert {"id": store.id, "name": "main", "account_id": ACCOUNT}.items() <= shown.items()
    assert [shown] == own_api.send("GET", STORES).result
    assert [] == own_api.send("GET", f"{STORES}?page=2").result
    assert store.ask("DELETE").result is None
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/secrets"), ("DELETE", f"/secrets/{NOWHERE}")):
        assert (404, [1001], ["store_not_found"]) == (
            *store.ask(method, rest).refusal,
            store.ask(method, rest).messages,
        )
    assert (404, [1001]) == store.ask("POST", "/secrets", [secret("A")]).refusal


def test_the_limits_of_stores_and_secrets_hold(roomy: Api) -> None:
    """The limits of stores and of secrets in all stores hold, and refusals name them."""
    stores = [SecretsStore(roomy, name) for name in ("a", "b", "c")]
    fourth = roomy.json("POST", STORES, {"name": "d"})
    assert ["maximum_stores_exceeded: the limit is 3."] == fourth.messages
    assert (400, [1003]) == fourth.refusal
    stores[0].make(secret("A"), secret("B"))
    refused = stores[1].ask("POST", "/secrets", [secret("A"), secret("B")])
    assert (400, [1003], ["maximum_secrets_exceeded: the limit is 3."]) == (*refused.refusal, refused.messages)

    ids = stores[2].make(secret("C"))
    assert (400, [1003]) == stores[2].ask("POST", f"/secrets/{ids[0]}/duplicate", secret("D")).refusal
    assert stores[2].ask("PATCH", f"/secrets/{ids[0]}", {"value": "another"}).status == 200
    assert {"secrets": {"quota": 3, "usage": 3}} == roomy.send("GET", f"{ROOT}/quota").result


def test_a_second_store_is_refused_by_default(store: SecretsStore) -> None:
    """By default a second store is refused, as on the platform, and so is a name in use."""
    assert (400, [1003]) == store.api.json("POST", STORES, {"name": "other"}).refusal
    assert ["The name 'main' is already in use. Choose another one."] == store.api.json(
        "POST", STORES, {"name": "main"}
    ).messages


def test_stored_values_are_never_shown(store: SecretsStore) -> None:
    """A value is in no answer, log entry or file of the database, and opens only for its name and ID."""
    values = [planted() for _ in range(3)]
    answers = [
        store.ask("POST", "/secrets", [secret("A", values[0], comment="for a"), secret("B", values[1], "dex")]),
    ]
    first, second = (made["id"] for made in answers[0].result)
    answers += [
        store.ask("GET", "/secrets"),
        store.ask("GET", f"/secrets/{first}"),
        store.ask("PATCH", f"/secrets/{second}", {"value": values[2]}),
        store.ask("POST", f"/secrets/{first}/duplicate", {"name": "C", "scopes": ["workers"]}),
    ]

    shown = answers[2].result
    assert ("A", first, store.id, "active", ["workers"], "for a") == tuple(
        shown[member] for member in ("name", "id", "store_id", "status", "scopes", "comment")
    )
    assert {"created", "modified"} == set(shown) - {"name", "id", "store_id", "status", "scopes", "comment"}
    assert [values[0], values[2], values[0]] == [store.value(name).decode() for name in ("A", "B", "C")]
    assert not any(holds_plant(answer.body) for answer in answers)
    assert not any(holds_plant(file.read_bytes()) for file in store.api.path.parent.iterdir())
    actions = [
        (event["action"], event.get("set")) for event in events(store.api) if event.get("resource") == store.id
    ]
    assert [
        ("stores.create", None),
        ("stores.secrets.create", ["A", "B"]),
        ("stores.secrets.edit", ["B"]),
        ("stores.secrets.duplicate", ["C"]),
    ] == actions


def test_a_duplicate_is_independent_of_its_original(store: SecretsStore) -> None:
    """The value of a duplicate stays when the original is changed or deleted, and can be changed."""
    (first,) = store.make(secret("A", "one", comment="of a"))
    twin = store.ask("POST", f"/secrets/{first}/duplicate", {"name": "B", "scopes": ["dex"]}).result
    third = store.ask("POST", f"/secrets/{twin['id']}/duplicate", {"name": "C", "scopes": ["dex"], "comment": "c"})
    assert ("B", ["dex"], "") == (twin["name"], twin["scopes"], twin["comment"])

    assert store.ask("PATCH", f"/secrets/{first}", {"value": "two"}).status == 200
    assert [b"two", b"one", b"one"] == [store.value(name) for name in "ABC"]
    assert store.ask("DELETE", f"/secrets/{first}").status == 200
    assert store.ask("PATCH", f"/secrets/{third.result['id']}", {"value": "three"}).status == 200
    assert [b"one", b"three"] == [store.value(name) for name in "BC"]


def test_a_patch_keeps_members_that_it_omits(store: SecretsStore) -> None:
    """A patch changes only the members that it names."""
    (first,) = store.make(secret("A", "one", comment="old"))

    shown = store.ask("PATCH", f"/secrets/{first}", {"comment": "new"}).result
    assert ("new", ["workers"], b"one") == (shown["comment"], shown["scopes"], store.value("A"))
    shown = store.ask("PATCH", f"/secrets/{first}", {"value": "two", "scopes": ["dex", "dex"]}).result
    assert ("new", ["dex"], b"two") == (shown["comment"], shown["scopes"], store.value("A"))
    shown = store.ask("PATCH", f"/secrets/{first}", {"comment": ""}).result
    assert ("", ["dex"], b"two") == (shown["comment"], shown["scopes"], store.value("A"))
    assert shown == store.ask("GET", f"/secrets/{first}").result


def test_lists_can_be_searched_filtered_ordered_and_paged(store: SecretsStore) -> None:
    """Lists can be searched, filtered, ordered and paged; the default order is by name."""
    store.make(secret("b", "x", "workers", "dex", comment="First"))
    store.make(secret("C", "x", "dex", comment="second"), secret("a", "x", comment="A third"))

    assert ["C", "a", "b"] == store.names()
    assert ["b"] == store.names("?search=FIRST")
    assert ["a", "b"] == store.names("?scopes=workers")
    assert ["b"] == store.names("?scopes=workers&scopes=dex")
    assert ["b"] == store.names("?scopes=workers,dex")
    assert ["b", "C", "a"] == store.names("?order=created")
    assert ["C", "b", "a"] == store.names("?order=comment&direction=desc")
    assert [["b"], ["a"], ["C"], []] == [
        store.names(f"?direction=desc&per_page=1&page={page}") for page in (1, 2, 3, 4)
    ]
    assert (400, [10021]) == store.ask("GET", "/secrets?order=value").refusal
    assert (400, [10021]) == store.ask("GET", "/secrets?direction=up").refusal


def test_secrets_are_deleted_all_or_none(store: SecretsStore) -> None:
    """One secret or several can be deleted; several are deleted all or none, and the answer lists them."""
    first, second, third = store.make(secret("A"), secret("B"), secret("C"))
    gone = store.ask("DELETE", f"/secrets/{first}").result
    assert ("A", "deleted") == (gone["name"], gone["status"])

    assert (404, [1001]) == store.ask("DELETE", "/secrets", [{"id": second}, {"id": first}]).refusal
    assert ["B", "C"] == store.names()
    gone = store.ask("DELETE", "/secrets", [{"id": second}, {"id": third}, {"id": second}]).result
    assert ["B", "C"] == [deleted["name"] for deleted in gone]
    assert [] == store.names()
    nothing = store.ask("DELETE", "/secrets")
    assert (400, [10021]) == nothing.refusal
    assert "array" in nothing.messages[0]


def test_a_store_with_secrets_is_deleted_only_by_force(store: SecretsStore) -> None:
    """A store with secrets is deleted only with `force=true`; the refusal has the number of secrets."""
    store.make(secret("A"), secret("B"))
    refused = store.ask("DELETE")

    assert (400, [1003]) == refused.refusal
    assert "2 secrets" in refused.messages[0]
    assert ["A", "B"] == store.names()
    assert store.ask("DELETE", "?force=true").status == 200
    assert [] == store.api.send("GET", STORES).result


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, 10021, ""),
        ([], 10021, ""),
        ([secret(f"A{n}") for n in range(101)], 100160, ""),
        (["planted-value"], 10021, "/0"),
        ([secret("A"), secret("", "planted-value")], 10021, "/1/name"),
        ([secret("a.b", "planted-value")], 10021, "/0/name"),
        ([secret("a" * 256)], 10021, "/0/name"),
        ([secret("A", "planted-value") | {"name": 1}], 10021, "/0/name"),
        ([{"name": "A", "scopes": ["workers"]}], 10021, "/0/value"),
        ([secret("A") | {"value": ["planted-value"]}], 10021, "/0/value"),
        ([secret("A", "planted-value" * 6000)], 1001, "/0/value"),
        ([secret("A") | {"scopes": []}], 10021, "/0/scopes"),
        ([secret("A", "planted-value", "nothing")], 10021, "/0/scopes"),
        ([secret("A") | {"scopes": "workers"}], 10021, "/0/scopes"),
        ([secret("A", comment=1)], 10021, "/0/comment"),
        ([secret("A", comment="é" * 513)], 10021, "/0/comment"),
        ([secret("A"), secret("A")], 1003, None),
    ],
)  # fmt: skip
def test_invalid_new_secrets_are_refused(empty: SecretsStore, body: object, code: int, pointer: str | None) -> None:
    """The refusal points at the bad member and repeats no value; no secret is made."""
    refused = empty.ask("POST", "/secrets", body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert [] == empty.names()


def test_the_largest_and_the_empty_value_are_stored(store: SecretsStore) -> None:
    """A value may have up to 65,536 bytes, or none."""
    store.make(secret("A", "é" * 32768), secret("B", ""))

    assert ("é" * 32768).encode() == store.value("A")
    assert b"" == store.value("B")


def test_secret_names_in_use_are_refused(store: SecretsStore) -> None:
    """Each name in use is listed in the refusal, and no secret of the request is made."""
    store.make(secret("A"), secret("B"))
    refused = store.ask("POST", "/secrets", [secret("A"), secret("C"), secret("B")])

    assert (400, [1003, 1003]) == refused.refusal
    assert [f"secret_name_already_exists: {name}" for name in "AB"] == refused.messages
    assert ["A", "B"] == store.names()


def test_invalid_changes_of_a_secret_are_refused(store: SecretsStore) -> None:
    """A secret cannot be renamed, bad changes are refused, and a missing secret gets 1001."""
    (first,) = store.make(secret("A", "one"))
    path = f"/secrets/{first}"

    assert (400, [10015]) == store.ask("PATCH", path, {"name": "B"}).refusal
    assert (400, [10021]) == store.ask("PATCH", path, {"scopes": []}).refusal
    assert (400, [10021]) == store.ask("PATCH", path, []).refusal
    assert (400, [10021]) == store.ask("POST", f"{path}/duplicate", {"name": "B"}).refusal
    assert (400, [1003]) == store.ask("POST", f"{path}/duplicate", secret("A")).refusal
    assert b"one" == store.value("A")
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"value": "x"}),
        ("DELETE", "", None),
        ("POST", "/duplicate", secret("B")),
    ):
        assert (404, [1001]) == store.ask(method, f"/secrets/{NOWHERE}{rest}", body).refusal


@pytest.mark.parametrize("body", [1, {}, {"name": 1}, {"name": ""}, {"name": "a b"}])
def test_invalid_store_names_are_refused(api: Api, body: object) -> None:
    """The refusal is 400 / 10021, and no store is made."""
    before = api.send("GET", STORES).body
    assert (400, [10021]) == api.json("POST", STORES, body).refusal
    assert before == api.send("GET", STORES).body


def test_json_labelled_as_plain_text_is_accepted(store: SecretsStore) -> None:
    """JSON is accepted as `text/plain`, as wrangler's HTTP library labels it, but not as another type."""
    body = json.dumps([secret("A")]).encode()

    assert store.api.send("POST", f"{store.path}/secrets", body, [SPREAD]).status == 200
    refused = store.api.send("POST", f"{store.path}/secrets", body, [(b"content-type", b"text/html")])
    assert (400, [10001]) == refused.refusal
