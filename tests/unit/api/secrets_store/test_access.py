"""Permissions to bind a script to secrets of the Secrets Store, which its code can then read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, Headers, form, form_type
from tests.unit.api.tools.tokens import WRITE, keep, row

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy, encode_policies

HERE = f"/client/v4/accounts/{ACCOUNT}/workers"
SCRIPT = f"{HERE}/scripts/worker"
ACCOUNT_NAME = ACCOUNT_RESOURCE + ACCOUNT
STORES_READ = "6e696768747361666573746f72657265"
BOUND = {"type": "secrets_store_secret", "name": "KEY", "store_id": "0" * 32, "secret_name": "key"}
MODULE = {"name": "a.js", "content_type": "application/javascript+module", "content_base64": "YQ=="}

Ask = Callable[[str, str, bytes, Headers], Answer]


def form_of(part: str, value: object) -> bytes:
    """Return a form with one JSON part and a module."""
    return form(File(part, json.dumps(value).encode(), "application/json", as_file=False), File("worker.js"))


def asking(api: Api, *policies: Any) -> Ask:
    """Return a function that asks with these policies."""
    token = new_token()
    keep(api, row(token, encode_policies(policies), account_id=ACCOUNT))
    bearer = (b"authorization", b"Bearer " + token.encode())
    return lambda method, path, body, headers: api.send(method, path, body, [bearer, *headers], anonymous=True)


def upload(ask: Ask, method: str, path: str, *bindings: object, **more: Any) -> Answer:
    """Upload code with bindings."""
    body = form_of("metadata", {"main_module": "worker.js", "bindings": bindings, **more})
    return ask(method, path, body, [form_type()])


WAYS: dict[str, Callable[[Ask], Answer]] = {
    "upload": lambda ask: upload(ask, "PUT", SCRIPT, BOUND),
    "version": lambda ask: upload(ask, "POST", f"{SCRIPT}/versions", BOUND),
    "environment": lambda ask: upload(ask, "PUT", f"{HERE}/services/worker/environments/production", BOUND),
    "settings": lambda ask: ask(
        "PATCH", f"{SCRIPT}/settings", form_of("settings", {"bindings": [BOUND]}), [form_type()]
    ),
    "beta": lambda ask: ask(
        "POST",
        f"{HERE}/workers/worker/versions?deploy=true",
        json.dumps({"main_module": "a.js", "modules": [MODULE], "bindings": [BOUND]}).encode(),
        [JSON],
    ),
    "previews": lambda ask: ask(
        "PATCH",
        f"{HERE}/workers/worker",
        json.dumps({"previews_base_config": {"env": {"KEY": BOUND}}}).encode(),
        [JSON],
    ),
}


@pytest.fixture(autouse=True)
def stored(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store the secret to which the scripts are bound."""
    stores = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
    store = own_api.json("POST", stores, {"name": "main"}).result["id"]
    secret = {"name": BOUND["secret_name"], "value": "x", "scopes": ["workers"]}
    assert 200 == own_api.json("POST", f"{stores}/{store}/secrets", [secret]).status
    monkeypatch.setitem(BOUND, "store_id", store)


@pytest.mark.parametrize("way", WAYS)
def test_binding_a_stored_secret_needs_permission_to_read_stores(own_api: Api, way: str) -> None:
    """Every kind of upload needs permission to read stores; the refusal names the binding and the permission."""
    assert own_api.upload("worker").status == 200
    scripts = allow_policy(ACCOUNT_NAME, WRITE)
    one_script = allow_policy(ACCOUNT_NAME, ALL_ACCESS, scripts=["work*"])
    before = own_api.send("GET", f"{SCRIPT}/versions").result

    for policy in (scripts, one_script):
        refused = WAYS[way](asking(own_api, policy))
        assert (403, [10000]) == refused.refusal
        assert "'KEY'" in refused.messages[0]
        assert "Secrets Store Read" in refused.messages[0]
        assert before == own_api.send("GET", f"{SCRIPT}/versions").result
    assert 200 == WAYS[way](asking(own_api, scripts, allow_policy(ACCOUNT_NAME, STORES_READ))).status


def test_an_existing_binding_can_be_kept_without_permission(own_api: Api) -> None:
    """A caller without permission to read stores may keep or inherit an existing binding."""
    bare = [{"type": "secrets_store_secret", "name": "KEY"}]
    assert (
        own_api.upload("worker", {"main_module": "worker.js", "bindings": [BOUND]}, File("worker.js")).status == 200
    )
    ask = asking(own_api, allow_policy(ACCOUNT_NAME, WRITE))

    answers = [
        upload(ask, "PUT", SCRIPT, keep_bindings=["secrets_store_secret"]),
        upload(ask, "PUT", SCRIPT, {"type": "inherit", "name": "KEY"}),
        ask("PATCH", f"{SCRIPT}/settings", form_of("settings", {"bindings": bare}), [form_type()]),
    ]

    assert [200, 200, 200] == [answer.status for answer in answers]
    assert [BOUND] == own_api.send("GET", f"{SCRIPT}/bindings").result
