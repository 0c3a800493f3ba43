"""A token limited to some scripts reaches no others through bindings, tail consumers, kept bindings or rollbacks."""

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
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy, encode_policies

HERE = f"/client/v4/accounts/{ACCOUNT}/workers"
SCRIPT = f"{HERE}/scripts/billing-api"
BETA = f"{HERE}/workers/billing-api"
IN_NAMESPACE = f"{HERE}/dispatch/namespaces/tenants/scripts/billing-api"
NAME = ACCOUNT_RESOURCE + ACCOUNT
THERE, NOT_THERE, OWN = "payments", "paymints", "billing-web"
CODE = {"name": "a.js", "content_type": MODULE, "content_base64": "ZXhwb3J0IGRlZmF1bHQge30="}

Ask = Callable[[str, str, bytes, Headers], Answer]


def refused(answer: Answer) -> tuple[int, bytes]:
    """Check the refusal; return it with the missing script's name replaced by the existing one's."""
    assert (403, [10000]) == answer.refusal
    return answer.status, answer.body.replace(NOT_THERE.encode(), THERE.encode())


def asking(api: Api, *policies: Any) -> Ask:
    """Return a function that asks with these policies; by default everything on `billing-*`."""
    token = new_token()
    keep(
        api, row(token, encode_policies(policies) if policies else policies_on("billing-*", "*/billing-*", "mine/*"))
    )
    bearer = (b"authorization", b"Bearer " + token.encode())
    return lambda method, path, body, headers: api.send(method, path, body, [bearer, *headers], anonymous=True)


def by_form(ask: Ask, method: str, path: str, part: str, value: dict[str, Any]) -> Answer:
    """Send a form with one JSON part and, as an upload, a module."""
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
    """Return a service binding."""
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
    "upload": lambda ask, binding: upload(ask, bindings=[binding]),
    "new": lambda ask, binding: upload(ask, f"{HERE}/scripts/billing-new", bindings=[binding]),
    "version": lambda ask, binding: upload(ask, f"{SCRIPT}/versions", "POST", bindings=[binding]),
    "environment": lambda ask, binding: upload(
        ask, f"{HERE}/services/billing-api/environments/production", bindings=[binding]
    ),
    "dispatched": lambda ask, binding: upload(ask, IN_NAMESPACE, bindings=[binding]),
    "settings": lambda ask, binding: by_form(ask, "PATCH", f"{SCRIPT}/settings", "settings", {"bindings": [binding]}),
    "beta": lambda ask, binding: by_json(
        ask, "POST", f"{BETA}/versions", {"main_module": "a.js", "modules": [CODE], "bindings": [binding]}
    ),
    "beta, deployed": lambda ask, binding: by_json(
        ask, "POST", f"{BETA}/versions?deploy=true", {"main_module": "a.js", "modules": [CODE], "bindings": [binding]}
    ),
    "previews": lambda ask, binding: by_json(
        ask, "PATCH", BETA, {"previews_base_config": {"env": {binding["name"]: binding}}}
    ),
    "preview": lambda ask, binding: by_json(
        ask, "PATCH", f"{BETA}/previews/main/deployments/latest", {"env": {binding["name"]: binding}}
    ),
}  # fmt: skip


def consumer(name: str) -> list[dict[str, str]]:
    """Return tail consumers."""
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
    """Yield an API with the scripts of these tests, which leave the scripts unchanged."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        fill(api)
        yield api


def fill(api: Api) -> None:
    """Make scripts in namespaces and outside."""
    for namespace in ("tenants", THERE, "mine"):
        made = api.json("POST", f"{HERE}/dispatch/namespaces", {"name": namespace})
        assert made.status == 200
    for script in (THERE, "billing-api", OWN):
        assert api.upload(script).status == 200
    assert upload(owner(api), IN_NAMESPACE).status == 200


def owner(api: Api) -> Ask:
    """Return a function that asks with the owner's token."""
    return api.send


@pytest.mark.parametrize("kind", BINDINGS)
@pytest.mark.parametrize("way", WAYS)
def test_binding_to_an_unreadable_script_is_refused(api: Api, way: str, kind: str) -> None:
    """No upload and no type of binding reaches an unreadable script, and a missing script gets the same refusal."""
    ask = asking(api)
    answers = [WAYS[way](ask, BINDINGS[kind](name)) for name in (THERE, NOT_THERE)]

    assert refused(answers[0]) == refused(answers[1])
    assert "Workers Scripts Read" in answers[0].messages[0]


@pytest.mark.parametrize("way", CONSUMING)
def test_an_unreadable_tail_consumer_is_refused(api: Api, way: str) -> None:
    """No unreadable script can be a tail consumer, and a missing script gets the same refusal."""
    ask = asking(api)
    assert refused(CONSUMING[way](ask, THERE)) == refused(CONSUMING[way](ask, NOT_THERE))


def test_a_refusal_does_not_look_up_the_other_script(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal does not look up the other script, so that its duration does not tell whether the script exists."""
    looked_up: list[str] = []
    original = api.store.script

    async def script(ref: Any) -> Any:
        """Record the name that is looked up."""
        looked_up.append(ref.name)
        return await original(ref)

    monkeypatch.setattr(api.store, "script", script)
    for way in WAYS.values():
        refused(way(asking(api), service(THERE)))
    for consuming in CONSUMING.values():
        refused(consuming(asking(api), THERE))
    assert THERE not in looked_up


def test_binding_needs_only_permission_to_read(own_api: Api) -> None:
    """Permission to read the other script is enough, and so is the same glob or no limit to scripts."""
    fill(own_api)
    reader = asking(
        own_api,
        allow_policy(NAME, ALL_ACCESS, scripts=["billing-*"]),
        allow_policy(NAME, READ, scripts=[THERE, "mine/*"]),
    )
    for ask, name in (
        (reader, THERE),
        (reader, OWN),
        (reader, "billing-api"),
        (asking(own_api, allow_policy(NAME, WRITE)), THERE),
    ):
        assert upload(ask, bindings=[service(name)], tail_consumers=consumer(name)).status == 200
    namespace = {"type": "dispatch_namespace", "name": "D", "namespace": "mine"}
    assert upload(reader, bindings=[namespace]).status == 200
    missing = upload(asking(own_api, allow_policy(NAME, WRITE)), bindings=[service(NOT_THERE)])
    assert (400, [10143]) == missing.refusal


def test_a_denied_script_cannot_be_bound(own_api: Api) -> None:
    """A token that is denied one script cannot bind to it, but can bind to all others."""
    fill(own_api)
    denied = replace(allow_policy(NAME, READ, scripts=[THERE]), effect="deny")
    ask = asking(own_api, allow_policy(NAME, WRITE), denied)

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
def test_new_code_over_a_kept_unreadable_binding_is_refused(own_api: Api, way: str) -> None:
    """New code is refused if the script keeps a binding, made by another, to a script that the caller cannot read."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200

    refused(KEEPING[way](asking(own_api)))
    assert KEEPING[way](asking(own_api, allow_policy(NAME, WRITE))).status == 200


def test_new_code_over_an_unreadable_consumer_is_refused(own_api: Api) -> None:
    """New code is refused if a tail consumer that the caller cannot read stays, but may name other consumers."""
    fill(own_api)
    assert upload(owner(own_api), tail_consumers=consumer(THERE)).status == 200

    refused(upload(asking(own_api)))
    assert upload(asking(own_api), tail_consumers=consumer(OWN)).status == 200
    assert upload(asking(own_api)).status == 200


def test_changes_without_code_are_accepted(own_api: Api) -> None:
    """Secrets, settings and bindings sent back as shown are accepted, because they reach nothing new."""
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
def test_a_rollback_to_an_unreadable_binding_is_refused(own_api: Api, path: str) -> None:
    """A version with a binding to an unreadable script cannot be deployed, not even for part of the traffic."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200
    assert upload(owner(own_api)).status == 200
    after, before = (version["id"] for version in own_api.send("GET", f"{SCRIPT}/versions").result["items"][:2])

    def deploy(ask: Ask, *versions: tuple[str, int]) -> Answer:
        """Deploy versions."""
        shares = [{"version_id": version, "percentage": percentage} for version, percentage in versions]
        return by_json(ask, "POST", path, {"strategy": "percentage", "versions": shares})

    refused(deploy(asking(own_api), (before, 100)))
    refused(deploy(asking(own_api), (before, 1), (after, 99)))
    assert deploy(asking(own_api), (after, 100)).status == 200
    reader = asking(
        own_api, allow_policy(NAME, ALL_ACCESS, scripts=["billing-*"]), allow_policy(NAME, READ, scripts=[THERE])
    )
    assert deploy(reader, (before, 100)).status == 200


def test_an_upload_is_refused_after_a_concurrent_binding(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another request binds the script while an upload is checked, the upload is refused with 503."""
    fill(own_api)
    original, bindings = own_api.store.bindings, [service(THERE)]

    async def stale(*arguments: Any) -> Any:
        """Return the bindings before another token bound the script."""
        found = await original(*arguments)
        if bindings:
            body = {"bindings": [bindings.pop()]}
            sent = form(File("settings", json.dumps(body).encode(), "application/json", as_file=False))
            answer = await elsewhere(sent)
            assert answer == 200
        return found

    async def elsewhere(sent: bytes) -> int:
        """Send the other request; return its status."""
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


def test_settings_are_refused_after_a_concurrent_upload(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """If other code is uploaded while settings are checked, the settings are refused with 503."""
    fill(own_api)
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200
    original, token, codes = own_api.store.bindings, new_token(), [b"export default {}; // other code"]
    keep(own_api, row(token, policies_on("billing-*")))
    bearer = (b"authorization", b"Bearer " + token.encode())

    async def stale(*arguments: Any) -> Any:
        """Return the bindings before the same token uploaded code of its own, without the binding."""
        found = await original(*arguments)
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
def test_too_many_tail_consumers_are_refused(own_api: Api, path: str, body: dict[str, Any]) -> None:
    """More than 100 tail consumers are refused before any of them is looked up."""
    fill(own_api)
    answer = by_json(owner(own_api), "PATCH", path, body)

    assert (400, "a Worker may have at most 100 consumers of its logs" in answer.body.decode()) == (
        answer.status,
        True,
    )
