"""The account's Secrets Store: stores, and secrets whose values go in and do not come out."""

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


class Shop:
    """A store, and what is asked of it.

    Args:
        api: over the account.
        name: of the store.
    """

    def __init__(self, api: Api, name: str = "main") -> None:
        self.api = api
        self.id: str = api.json("POST", STORES, {"name": name}).result["id"]
        self.path = f"{STORES}/{self.id}"

    def ask(self, method: str, rest: str = "", value: object = None) -> Answer:
        """Ask for something below the store."""
        path = self.path + rest
        return self.api.send(method, path) if value is None else self.api.json(method, path, value)

    def make(self, *secrets: dict[str, Any]) -> list[str]:
        """Ids of new secrets."""
        return [one["id"] for one in self.ask("POST", "/secrets", secrets).result]

    def names(self, query: str = "") -> list[str]:
        """Names of the secrets in the list."""
        return [one["name"] for one in self.ask("GET", f"/secrets{query}").result]

    def value(self, name: str) -> bytes:
        """The value of a secret."""
        return opened_stored(self.api, self.id, name)


@pytest.fixture
def shop(own_api: Api) -> Shop:
    """An empty store."""
    return Shop(own_api)


@pytest.fixture(scope="module")
def empty(api: Api) -> Shop:
    """A store that stays empty."""
    return Shop(api)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Api]:
    """An API with room for three stores and three secrets."""
    with Api(tmp_path, Limits(max_stores=3, max_store_secrets=3)) as api:
        yield api


def secret(name: str, value: str = "a value", *scopes: str, **more: Any) -> dict[str, Any]:
    """A secret as it is sent."""
    return {"name": name, "value": value, "scopes": scopes or ["workers"], **more}


def test_a_store_from_its_making_to_its_end(own_api: Api) -> None:
    """It is listed, told by id, and gone once it is deleted."""
    shop = Shop(own_api)
    told = shop.ask("GET").result

    assert {"id": shop.id, "name": "main", "account_id": ACCOUNT}.items() <= told.items()
    assert [told] == own_api.send("GET", STORES).result
    assert [] == own_api.send("GET", f"{STORES}?page=2").result
    assert shop.ask("DELETE").result is None
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/secrets"), ("DELETE", f"/secrets/{NOWHERE}")):
        assert (404, [1001], ["store_not_found"]) == (
            *shop.ask(method, rest).refusal,
            shop.ask(method, rest).messages,
        )
    assert (404, [1001]) == shop.ask("POST", "/secrets", [secret("A")]).refusal


def test_how_many_there_may_be(roomy: Api) -> None:
    """Stores and, of all of them together, secrets: past the limit each refusal names it."""
    shops = [Shop(roomy, name) for name in ("a", "b", "c")]
    fourth = roomy.json("POST", STORES, {"name": "d"})
    assert ["maximum_stores_exceeded: the limit is 3."] == fourth.messages
    assert (400, [1003]) == fourth.refusal
    shops[0].make(secret("A"), secret("B"))
    refused = shops[1].ask("POST", "/secrets", [secret("A"), secret("B")])
    assert (400, [1003], ["maximum_secrets_exceeded: the limit is 3."]) == (*refused.refusal, refused.messages)

    ids = shops[2].make(secret("C"))
    assert (400, [1003]) == shops[2].ask("POST", f"/secrets/{ids[0]}/duplicate", secret("D")).refusal
    assert shops[2].ask("PATCH", f"/secrets/{ids[0]}", {"value": "another"}).status == 200
    assert {"secrets": {"quota": 3, "usage": 3}} == roomy.send("GET", f"{ROOT}/quota").result


def test_an_account_has_one_store_by_default(shop: Shop) -> None:
    """As on the platform; a name is taken besides."""
    assert (400, [1003]) == shop.api.json("POST", STORES, {"name": "other"}).refusal
    assert ["The name 'main' is already in use. Choose another one."] == shop.api.json(
        "POST", STORES, {"name": "main"}
    ).messages


def test_values_go_in_and_do_not_come_out(shop: Shop) -> None:
    """A value is in no answer, no log entry and not in the database, and opens for its name and its id alone."""
    values = [planted() for _ in range(3)]
    answers = [
        shop.ask("POST", "/secrets", [secret("A", values[0], comment="for a"), secret("B", values[1], "dex")]),
    ]
    first, second = (one["id"] for one in answers[0].result)
    answers += [
        shop.ask("GET", "/secrets"),
        shop.ask("GET", f"/secrets/{first}"),
        shop.ask("PATCH", f"/secrets/{second}", {"value": values[2]}),
        shop.ask("POST", f"/secrets/{first}/duplicate", {"name": "C", "scopes": ["workers"]}),
    ]

    told = answers[2].result
    assert ("A", first, shop.id, "active", ["workers"], "for a") == tuple(
        told[member] for member in ("name", "id", "store_id", "status", "scopes", "comment")
    )
    assert {"created", "modified"} == set(told) - {"name", "id", "store_id", "status", "scopes", "comment"}
    assert [values[0], values[2], values[0]] == [shop.value(name).decode() for name in ("A", "B", "C")]
    assert not any(holds_plant(answer.body) for answer in answers)
    assert not any(holds_plant(file.read_bytes()) for file in shop.api.path.parent.iterdir())
    actions = [(event["action"], event.get("set")) for event in events(shop.api) if event.get("resource") == shop.id]
    assert [
        ("stores.create", None),
        ("stores.secrets.create", ["A", "B"]),
        ("stores.secrets.edit", ["B"]),
        ("stores.secrets.duplicate", ["C"]),
    ] == actions


def test_a_duplicate_lives_a_life_of_its_own(shop: Shop) -> None:
    """Its value stays when the other's is changed or gone, and is changed by itself."""
    (first,) = shop.make(secret("A", "one", comment="of a"))
    twin = shop.ask("POST", f"/secrets/{first}/duplicate", {"name": "B", "scopes": ["dex"]}).result
    third = shop.ask("POST", f"/secrets/{twin['id']}/duplicate", {"name": "C", "scopes": ["dex"], "comment": "c"})
    assert ("B", ["dex"], "") == (twin["name"], twin["scopes"], twin["comment"])

    assert shop.ask("PATCH", f"/secrets/{first}", {"value": "two"}).status == 200
    assert [b"two", b"one", b"one"] == [shop.value(name) for name in "ABC"]
    assert shop.ask("DELETE", f"/secrets/{first}").status == 200
    assert shop.ask("PATCH", f"/secrets/{third.result['id']}", {"value": "three"}).status == 200
    assert [b"one", b"three"] == [shop.value(name) for name in "BC"]


def test_what_a_patch_does_not_name_stays(shop: Shop) -> None:
    """The value when only words change, the words when only the value does."""
    (first,) = shop.make(secret("A", "one", comment="old"))

    told = shop.ask("PATCH", f"/secrets/{first}", {"comment": "new"}).result
    assert ("new", ["workers"], b"one") == (told["comment"], told["scopes"], shop.value("A"))
    told = shop.ask("PATCH", f"/secrets/{first}", {"value": "two", "scopes": ["dex", "dex"]}).result
    assert ("new", ["dex"], b"two") == (told["comment"], told["scopes"], shop.value("A"))
    told = shop.ask("PATCH", f"/secrets/{first}", {"comment": ""}).result
    assert ("", ["dex"], b"two") == (told["comment"], told["scopes"], shop.value("A"))
    assert told == shop.ask("GET", f"/secrets/{first}").result


def test_lists_are_searched_filtered_ordered_and_paged(shop: Shop) -> None:
    """By name unless the query says otherwise."""
    shop.make(secret("b", "x", "workers", "dex", comment="First"))
    shop.make(secret("C", "x", "dex", comment="second"), secret("a", "x", comment="A third"))

    assert ["C", "a", "b"] == shop.names()
    assert ["b"] == shop.names("?search=FIRST")
    assert ["a", "b"] == shop.names("?scopes=workers")
    assert ["b"] == shop.names("?scopes=workers&scopes=dex")
    assert ["b"] == shop.names("?scopes=workers,dex")
    assert ["b", "C", "a"] == shop.names("?order=created")
    assert ["C", "b", "a"] == shop.names("?order=comment&direction=desc")
    assert [["b"], ["a"], ["C"], []] == [
        shop.names(f"?direction=desc&per_page=1&page={page}") for page in (1, 2, 3, 4)
    ]
    assert (400, [10021]) == shop.ask("GET", "/secrets?order=value").refusal
    assert (400, [10021]) == shop.ask("GET", "/secrets?direction=up").refusal


def test_deleting(shop: Shop) -> None:
    """One or several; several all or none, and what is gone is told."""
    first, second, third = shop.make(secret("A"), secret("B"), secret("C"))
    gone = shop.ask("DELETE", f"/secrets/{first}").result
    assert ("A", "deleted") == (gone["name"], gone["status"])

    assert (404, [1001]) == shop.ask("DELETE", "/secrets", [{"id": second}, {"id": first}]).refusal
    assert ["B", "C"] == shop.names()
    gone = shop.ask("DELETE", "/secrets", [{"id": second}, {"id": third}, {"id": second}]).result
    assert ["B", "C"] == [one["name"] for one in gone]
    assert [] == shop.names()
    nothing = shop.ask("DELETE", "/secrets")
    assert (400, [10021]) == nothing.refusal
    assert "array" in nothing.messages[0]


def test_a_store_with_secrets_goes_only_by_force(shop: Shop) -> None:
    """Without it the refusal says how many there are; no client repeats it."""
    shop.make(secret("A"), secret("B"))
    refused = shop.ask("DELETE")

    assert (400, [1003]) == refused.refusal
    assert "2 secrets" in refused.messages[0]
    assert ["A", "B"] == shop.names()
    assert shop.ask("DELETE", "?force=true").status == 200
    assert [] == shop.api.send("GET", STORES).result


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
def test_what_is_refused_of_new_secrets(empty: Shop, body: object, code: int, pointer: str | None) -> None:
    """400 with the member at fault; no value is repeated, and none of them is made."""
    refused = empty.ask("POST", "/secrets", body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert [] == empty.names()


def test_the_largest_value(shop: Shop) -> None:
    """65,536 bytes go in, whatever they are, and none at all do too."""
    shop.make(secret("A", "é" * 32768), secret("B", ""))

    assert ("é" * 32768).encode() == shop.value("A")
    assert b"" == shop.value("B")


def test_names_are_taken_once_in_a_store(shop: Shop) -> None:
    """Each that is there is told; nothing of the request is kept."""
    shop.make(secret("A"), secret("B"))
    refused = shop.ask("POST", "/secrets", [secret("A"), secret("C"), secret("B")])

    assert (400, [1003, 1003]) == refused.refusal
    assert [f"secret_name_already_exists: {name}" for name in "AB"] == refused.messages
    assert ["A", "B"] == shop.names()


def test_what_is_refused_of_a_secret(shop: Shop) -> None:
    """Names do not change; an absent secret is told by a code that creates nothing."""
    (first,) = shop.make(secret("A", "one"))
    one = f"/secrets/{first}"

    assert (400, [10015]) == shop.ask("PATCH", one, {"name": "B"}).refusal
    assert (400, [10021]) == shop.ask("PATCH", one, {"scopes": []}).refusal
    assert (400, [10021]) == shop.ask("PATCH", one, []).refusal
    assert (400, [10021]) == shop.ask("POST", f"{one}/duplicate", {"name": "B"}).refusal
    assert (400, [1003]) == shop.ask("POST", f"{one}/duplicate", secret("A")).refusal
    assert b"one" == shop.value("A")
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"value": "x"}),
        ("DELETE", "", None),
        ("POST", "/duplicate", secret("B")),
    ):
        assert (404, [1001]) == shop.ask(method, f"/secrets/{NOWHERE}{rest}", body).refusal


@pytest.mark.parametrize("body", [1, {}, {"name": 1}, {"name": ""}, {"name": "a b"}])
def test_names_that_no_store_may_have(api: Api, body: object) -> None:
    """400, and none is made."""
    before = api.send("GET", STORES).body
    assert (400, [10021]) == api.json("POST", STORES, body).refusal
    assert before == api.send("GET", STORES).body


def test_json_that_is_called_plain_text(shop: Shop) -> None:
    """The HTTP library of wrangler labels it so."""
    body = json.dumps([secret("A")]).encode()

    assert shop.api.send("POST", f"{shop.path}/secrets", body, [SPREAD]).status == 200
    refused = shop.api.send("POST", f"{shop.path}/secrets", body, [(b"content-type", b"text/html")])
    assert (400, [10001]) == refused.refusal
