"""A token limited to some scripts reaches no others: by no binding or consumer, nor what is kept, nor a rollback."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.api.tools.driver import (
    ACCOUNT,
    JSON,
    MODULE,
    Answer,
    Api,
    Exchange,
    File,
    Headers,
    form,
    form_type,
    scope_of,
)
from tests.unit.api.tools.tokens import READ, WRITE, keep, policies_on, row

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allowing, encode_policies

HERE = f"/client/v4/accounts/{ACCOUNT}/workers"
SCRIPT = f"{HERE}/scripts/billing-api"
BETA = f"{HERE}/workers/billing-api"
IN_NAMESPACE = f"{HERE}/dispatch/namespaces/tenants/scripts/billing-api"
NAME = ACCOUNT_RESOURCE + ACCOUNT
THERE, NOT_THERE, OWN = "payments", "paymints", "billing-web"
CODE = {"name": "a.js", "content_type": MODULE, "content_base64": "ZXhwb3J0IGRlZmF1bHQge30="}

Ask = Callable[[str, str, bytes, Headers], Answer]


def refused(answer: Answer) -> tuple[int, bytes]:
    """All that a refusal tells, with the one word that the caller sent taken out."""
    assert (403, [10000]) == answer.refusal
    return answer.status, answer.body.replace(NOT_THERE.encode(), THERE.encode())


def asking(api: Api, *policies: Any) -> Ask:
    """Ask with a token that has these policies; by default everything on billing-*."""
    token = new_token()
    keep(
        api, row(token, encode_policies(policies) if policies else policies_on("billing-*", "*/billing-*", "mine/*"))
    )
    bearer = (b"authorization", b"Bearer " + token.encode())
    return lambda method, path, body, headers: api.send(method, path, body, [bearer, *headers], anonymous=True)


def by_form(ask: Ask, method: str, path: str, part: str, value: dict[str, Any]) -> Answer:
    """Send a form with one JSON part and a module."""
    files = [File(part, json.dumps(value).encode(), "application/json", as_file=False)]
    files += [File("worker.js")] if part == "metadata" else []
    return ask(method, path, form(*files), [form_type()])


def by_json(ask: Ask, method: str, path: str, value: object) -> Answer:
    """Send a JSON value."""
    return ask(method, path, json.dumps(value).encode(), [JSON])


def upload(ask: Ask, path: str = SCRIPT, method: str = "PUT", **fields: Any) -> Answer:
    """Upload code."""
    return by_form(ask, method, path, "metadata", {"main_module": "worker.js", **fields})


def service(name: str) -> dict[str, Any]:
    """A service binding."""
    return {"type": "service", "name": "OTHER", "service": name}


BINDINGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "service": service,
    "entrypoint": lambda name: service(name) | {"entrypoint": "Admin", "props": {"a": 1}},
    "granted": lambda name: service(name) | {"cross_account_grant": "g"},
    "objects": lambda name: {
        "type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": name,
    },
    "objects of a namespace": lambda name: {
        "type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": "shop",
        "dispatch_namespace": name,
    },
    "objects by id": lambda _: {"type": "durable_object_namespace", "name": "DO", "namespace_id": "0" * 32},
    "workflow": lambda name: {
        "type": "workflow", "name": "W", "workflow_name": "w", "class_name": "C", "script_name": name,
    },
    "namespace": lambda name: {"type": "dispatch_namespace", "name": "D", "namespace": name},
    "outbound": lambda name: {
        "type": "dispatch_namespace", "name": "D", "namespace": "mine", "outbound": {"worker": {"service": name}},
    },
}  # fmt: skip
WAYS: dict[str, Callable[[Ask, dict[str, Any]], Answer]] = {
    "upload": lambda ask, one: upload(ask, bindings=[one]),
    "new": lambda ask, one: upload(ask, f"{HERE}/scripts/billing-new", bindings=[one]),
    "version": lambda ask, one: upload(ask, f"{SCRIPT}/versions", "POST", bindings=[one]),
    "environment": lambda ask, one: upload(
        ask, f"{HERE}/services/billing-api/environments/production", bindings=[one]
    ),
    "dispatched": lambda ask, one: upload(ask, IN_NAMESPACE, bindings=[one]),
    "settings": lambda ask, one: by_form(ask, "PATCH", f"{SCRIPT}/settings", "settings", {"bindings": [one]}),
    "beta": lambda ask, one: by_json(
        ask, "POST", f"{BETA}/versions", {"main_module": "a.js", "modules": [CODE], "bindings": [one]}
    ),
    "beta, deployed": lambda ask, one: by_json(
        ask, "POST", f"{BETA}/versions?deploy=true", {"main_module": "a.js", "modules": [CODE], "bindings": [one]}
    ),
    "previews": lambda ask, one: by_json(
        ask, "PATCH", BETA, {"previews_base_config": {"env": {one["name"]: one}}}
    ),
    "preview": lambda ask, one: by_json(
        ask, "PATCH", f"{BETA}/previews/main/deployments/latest", {"env": {one["name"]: one}}
    ),
}  # fmt: skip


def consumer(name: str) -> list[dict[str, str]]:
    """Consumers of logs."""
    return [{"service": name}]


CONSUMING: dict[str, Callable[[Ask, str], Answer]] = {
    "upload": lambda ask, name: upload(ask, tail_consumers=consumer(name)),
    "streaming": lambda ask, name: upload(ask, streaming_tail_consumers=consumer(name)),
    "settings": lambda ask, name: by_form(
        ask, "PATCH", f"{SCRIPT}/settings", "settings", {"tail_consumers": consumer(name)}
    ),
    "script settings": lambda ask, name: by_json(
        ask, "PATCH", f"{SCRIPT}/script-settings", {"streaming_tail_consumers": consumer(name)}
    ),
    "beta": lambda ask, name: by_json(ask, "PATCH", BETA, {"tail_consumers": [{"name": name}]}),
    "previews": lambda ask, name: by_json(
        ask, "PATCH", BETA, {"previews_base_config": {"tail_consumers": consumer(name)}}
    ),
}  # fmt: skip


@pytest.fixture(name="api", scope="module")
def an_api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An API with the scripts that these tests are about; the tests here leave them as they are."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        fill(api)
        yield api


def fill(api: Api) -> None:
    """Scripts in and outside of namespaces."""
    for namespace in ("tenants", THERE, "mine"):
        made = api.json("POST", f"{HERE}/dispatch/namespaces", {"name": namespace})
        assert made.status == 200
    for script in (THERE, "billing-api", OWN):
        assert api.upload(script).status == 200
    assert upload(owner(api), IN_NAMESPACE).status == 200


def owner(api: Api) -> Ask:
    """Ask with a token that is not limited."""
    return api.send


@pytest.mark.parametrize("kind", BINDINGS)
@pytest.mark.parametrize("way", WAYS)
def test_nobody_binds_to_what_they_may_not_read(api: Api, way: str, kind: str) -> None:
    """By no door and no kind of binding, and the refusal is the same whether the other script is there."""
    ask = asking(api)
    answers = [WAYS[way](ask, BINDINGS[kind](name)) for name in (THERE, NOT_THERE)]

    assert refused(answers[0]) == refused(answers[1])
    assert "Workers Scripts Read" in answers[0].messages[0]


@pytest.mark.parametrize("way", CONSUMING)
def test_nobody_hands_logs_to_what_they_may_not_read(api: Api, way: str) -> None:
    """A consumer's code runs with them: the same refusal, whether it is there."""
    ask = asking(api)
    assert refused(CONSUMING[way](ask, THERE)) == refused(CONSUMING[way](ask, NOT_THERE))


def test_a_refusal_looks_nothing_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the other script: so that it takes as long whether it is there."""
    asked: list[str] = []
    look = api.store.script

    async def script(ref: Any) -> Any:
        """Note what is looked up."""
        asked.append(ref.name)
        return await look(ref)

    monkeypatch.setattr(api.store, "script", script)
    for way in WAYS.values():
        refused(way(asking(api), service(THERE)))
    for consuming in CONSUMING.values():
        refused(consuming(asking(api), THERE))
    assert THERE not in asked


def test_reading_is_enough(own_api: Api) -> None:
    """Read on the other script, the script itself, and others of the glob are let; so is all, without limits."""
    fill(own_api)
    reader = asking(
        own_api, allowing(NAME, ALL_ACCESS, scripts=["billing-*"]), allowing(NAME, READ, scripts=[THERE, "mine/*"])
    )
    for ask, name in (
        (reader, THERE),
        (reader, OWN),
        (reader, "billing-api"),
        (asking(own_api, allowing(NAME, WRITE)), THERE),
    ):
        assert upload(ask, bindings=[service(name)], tail_consumers=consumer(name)).status == 200
    namespace = {"type": "dispatch_namespace", "name": "D", "namespace": "mine"}
    assert upload(reader, bindings=[namespace]).status == 200
    missing = upload(asking(own_api, allowing(NAME, WRITE)), bindings=[service(NOT_THERE)])
    assert (400, [10143]) == missing.refusal


def test_a_denial_limits_too(own_api: Api) -> None:
    """Everything but one script: that one is not reached, and all others are."""
    fill(own_api)
    denied = replace(allowing(NAME, READ, scripts=[THERE]), effect="deny")
    ask = asking(own_api, allowing(NAME, WRITE), denied)

    refused(upload(ask, bindings=[service(THERE)]))
    assert upload(ask, bindings=[service(OWN)]).status == 200


KEEPING: dict[str, Callable[[Ask], Answer]] = {
    "kept": lambda ask: upload(ask, keep_bindings=["service"]),
    "kept, undeployed": lambda ask: upload(ask, f"{SCRIPT}/versions", "POST", keep_bindings=["service"]),
    "inherited": lambda ask: upload(ask, bindings=[{"type": "inherit", "name": "OTHER"}]),
    "renamed": lambda ask: upload(ask, bindings=[{"type": "inherit", "name": "NEW", "old_name": "OTHER"}]),
    "content": lambda ask: ask("PUT", f"{SCRIPT}/content", form(
        File("metadata", b'{"main_module":"worker.js"}', "application/json", as_file=False), File("worker.js")
    ), [form_type()]),
    "beta": lambda ask: by_json(
        ask,
        "POST",
        f"{BETA}/versions?deploy=true",
        {"main_module": "a.js", "modules": [CODE], "keep_bindings": ["service"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", KEEPING)
def test_new_code_reaches_nothing_by_what_is_kept(own_api: Api, way: str) -> None:
    """Somebody else bound the script to another: who may not read that one brings no code that would call it."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200

    refused(KEEPING[way](asking(own_api)))
    assert KEEPING[way](asking(own_api, allowing(NAME, WRITE))).status == 200


def test_new_code_reaches_no_consumer_that_stays(own_api: Api) -> None:
    """Named by somebody else; an upload that names another list is asked for that one alone."""
    fill(own_api)
    assert upload(owner(own_api), tail_consumers=consumer(THERE)).status == 200

    refused(upload(asking(own_api)))
    assert upload(asking(own_api), tail_consumers=consumer(OWN)).status == 200
    assert upload(asking(own_api)).status == 200


def test_what_brings_no_code_goes_on(own_api: Api) -> None:
    """Secrets, settings, and bindings sent back as reads show them: nothing is reached that was not before."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)], tail_consumers=consumer(THERE)).status == 200
    ask = asking(own_api)
    again = [service(THERE), {"type": "secret_text", "name": "KEY", "text": "x"}]
    answers = [
        by_json(ask, "PUT", f"{SCRIPT}/secrets", {"type": "secret_text", "name": "S", "text": "x"}),
        by_form(ask, "PATCH", f"{SCRIPT}/settings", "settings", {"bindings": again}),
        by_form(ask, "PATCH", f"{SCRIPT}/settings", "settings", {"bindings": [{"type": "service", "name": "OTHER"}]}),
        by_json(ask, "PATCH", f"{SCRIPT}/script-settings", {"tail_consumers": consumer(THERE), "logpush": True}),
    ]

    assert [200] * 4 == [answer.status for answer in answers]


@pytest.mark.parametrize("path", [f"{SCRIPT}/deployments", f"{SCRIPT}/deployments?force=true"])
def test_no_older_version_is_served_that_reaches_more(own_api: Api, path: str) -> None:
    """Not by a deployment and not by a part of one; who may read what it reaches goes back to it."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200
    assert upload(owner(own_api)).status == 200
    after, before = (one["id"] for one in own_api.send("GET", f"{SCRIPT}/versions").result["items"][:2])

    def deploy(ask: Ask, *versions: tuple[str, int]) -> Answer:
        """Serve versions."""
        shares = [{"version_id": one, "percentage": percentage} for one, percentage in versions]
        return by_json(ask, "POST", path, {"strategy": "percentage", "versions": shares})

    refused(deploy(asking(own_api), (before, 100)))
    refused(deploy(asking(own_api), (before, 1), (after, 99)))
    assert deploy(asking(own_api), (after, 100)).status == 200
    reader = asking(own_api, allowing(NAME, ALL_ACCESS, scripts=["billing-*"]), allowing(NAME, READ, scripts=[THERE]))
    assert deploy(reader, (before, 100)).status == 200


def test_a_binding_made_meanwhile_is_not_kept(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at must still be so when the code comes in: otherwise it is to be sent again."""
    fill(own_api)
    look, bindings = own_api.store.bindings, [service(THERE)]

    async def stale(*asked: Any) -> Any:
        """What was there before another token bound the script."""
        found = await look(*asked)
        if bindings:
            body = {"bindings": [bindings.pop()]}
            sent = form(File("settings", json.dumps(body).encode(), "application/json", as_file=False))
            answer = await elsewhere(sent)
            assert answer == 200
        return found

    async def elsewhere(sent: bytes) -> int:
        """Another request, meanwhile: its status."""
        exchange = Exchange(scope_of("PATCH", f"{SCRIPT}/settings", [own_api.bearer, form_type()]), [sent])
        await own_api.app(exchange.scope, exchange.receive, exchange.send)
        assert exchange.answer is not None
        return exchange.answer.status

    monkeypatch.setattr(own_api.store, "bindings", stale)
    token = new_token()
    keep(own_api, row(token, policies_on("billing-*")))
    sent = form(
        File(
            "metadata", b'{"main_module":"worker.js","keep_bindings":["service"]}', "application/json", as_file=False
        ),
        File("worker.js"),
    )
    bearer = (b"authorization", b"Bearer " + token.encode())
    answer = own_api.try_send("PUT", SCRIPT, sent, [bearer, form_type()], anonymous=True)
    assert answer is not None
    assert (503, [10002]) == answer.refusal


def test_a_binding_as_it_was_is_not_given_to_other_code(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that were looked at beside one version's code are not made for another's that came meanwhile."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200
    look, token, codes = own_api.store.bindings, new_token(), [b"export default {}; // other code"]
    keep(own_api, row(token, policies_on("billing-*")))
    bearer = (b"authorization", b"Bearer " + token.encode())

    async def stale(*asked: Any) -> Any:
        """What was there before the same token brought code of its own, without the binding."""
        found = await look(*asked)
        if codes:
            metadata = File("metadata", b'{"main_module":"worker.js"}', "application/json", as_file=False)
            sent = form(metadata, File("worker.js", codes.pop()))
            exchange = Exchange(scope_of("PUT", SCRIPT, [bearer, form_type()]), [sent])
            await own_api.app(exchange.scope, exchange.receive, exchange.send)
            assert exchange.answer is not None
            assert exchange.answer.status == 200
        return found

    monkeypatch.setattr(own_api.store, "bindings", stale)
    body = form(
        File("settings", json.dumps({"bindings": [service(THERE)]}).encode(), "application/json", as_file=False)
    )
    answer = own_api.try_send("PATCH", f"{SCRIPT}/settings", body, [bearer, form_type()], anonymous=True)
    assert answer is not None
    assert (503, [10002]) == answer.refusal
    assert [] == own_api.send("GET", f"{SCRIPT}/settings").result["bindings"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{SCRIPT}/script-settings", {"tail_consumers": [{"service": "a"}] * 101}),
        (f"{SCRIPT}/script-settings", {"streaming_tail_consumers": [{"service": "a"}] * 101}),
        (BETA, {"tail_consumers": [{"name": "a"}] * 101}),
        (BETA, {"preview_defaults": {"tail_consumers": [{"name": "a"}] * 101}}),
    ],
)
def test_more_consumers_than_anybody_has(own_api: Api, path: str, body: dict[str, Any]) -> None:
    """Are refused by their number, before one of them is looked at."""
    fill(own_api)
    answer = by_json(owner(own_api), "PATCH", path, body)

    assert (400, "a Worker may have at most 100 consumers of its logs" in answer.body.decode()) == (
        answer.status,
        True,
    )
