"""Writes with misspelt members: a write that would do nothing is refused."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, form, form_type, script_at

AT = f"/client/v4/accounts/{ACCOUNT}"
WORKER = f"{AT}/workers/workers/worker"
STORES = f"{AT}/secrets_store/stores"
PROJECTS = f"{AT}/pages/projects"
TEXT = {"type": "secret_text", "text": "x"}


@pytest.fixture(scope="module")
def api_with_objects(api: Api) -> Api:
    """Return an API with one object of each kind that can be patched."""
    store = api.json("POST", STORES, {"name": "main"}).result["id"]
    secret = {"name": "A", "value": "x", "scopes": ["workers"]}
    made = api.json("POST", f"{STORES}/{store}/secrets", [secret]).result[0]["id"]
    PATHS["{secret}"] = f"{STORES}/{store}/secrets/{made}"
    assert 200 == api.json("POST", PROJECTS, {"name": "site"}).status
    assert 200 == api.json("PATCH", WORKER, {"previews_base_config": {"env": {"A": TEXT}}}).status
    env = {"production": {"env_vars": {"A": {"type": "secret_text", "value": "x"}}}}
    assert 200 == api.json("PATCH", f"{PROJECTS}/site", {"deployment_configs": env}).status
    return api


PATHS: dict[str, str] = {}
"""Paths that are known only after the objects are made."""


def send(api: Api, method: str, path: str, body: object) -> Answer:
    """Send a write; settings are sent as a form."""
    target = PATHS.get(path, path)
    if target.endswith("/settings"):
        part = File("settings", json.dumps(body).encode(), "application/json", as_file=False)
        return api.send(method, target, form(part), [form_type()])
    return api.send(method, target, json.dumps(body).encode(), [JSON])


CASES: list[tuple[str, str, Any, str]] = [
    ("PATCH", f"{script_at('worker')}/secrets-bulk", {}, "/secrets"),
    ("PATCH", f"{script_at('worker')}/secrets-bulk", {"A": TEXT | {"name": "A"}}, "/secrets"),
    ("PATCH", f"{script_at('worker')}/secrets-bulk", {"secret": {"A": TEXT}}, "/secrets"),
    ("PATCH", f"{script_at('worker')}/secrets-bulk", {"version_tags": {"a": "b"}}, "/secrets"),
    ("PATCH", f"{script_at('worker')}/secrets-bulk", {"secrets": None}, "/secrets"),
    ("PATCH", f"{script_at('worker')}/settings", {"binding": []}, "/binding"),
    ("PATCH", f"{script_at('worker')}/settings", {"settings": {"bindings": []}}, "/settings"),
    ("PATCH", f"{script_at('worker')}/script-settings", {"tag": ["a"]}, "/tag"),
    ("PATCH", WORKER, {"env": {"A": TEXT}}, "/env"),
    ("PATCH", WORKER, {"subdomain": {"enable": True}}, "/subdomain/enable"),
    ("PATCH", WORKER, {"previews_base_config": {"bindings": {}}}, "/previews_base_config/bindings"),
    ("PATCH", WORKER, {"preview_defaults": {"env": {"A": {"type": "secret_text", "value": "y"}}}},
     "/preview_defaults/env/A/text"),
    ("PUT", WORKER, {"tag": ["a"]}, "/tag"),
    ("PATCH", f"{WORKER}/versions/latest", {}, "/env"),
    ("PATCH", f"{WORKER}/versions/latest", {"annotations": {"workers/message": "x"}}, "/env"),
    ("PATCH", f"{WORKER}/previews/p/deployments/latest", {"secrets": {"A": TEXT}}, "/env"),
    ("PATCH", "{secret}", {"text": "y"}, "/text"),
    ("PATCH", f"{PROJECTS}/site", {"env_vars": {}}, "/env_vars"),
    ("PATCH", f"{PROJECTS}/site", {"deployment_configs": {"prod": {}}}, "/deployment_configs/prod"),
    ("PATCH", f"{PROJECTS}/site", {"deployment_configs": {"production": {"vars": {}}}},
     "/deployment_configs/production/vars"),
    ("PATCH", f"{PROJECTS}/site",
     {"deployment_configs": {"production": {"env_vars": {"A": {"type": "secret_text", "text": "y"}}}}},
     "/deployment_configs/production/env_vars/A/value"),
    ("PATCH", f"{PROJECTS}/site", {"build_config": {"command": "make"}}, "/build_config/command"),
    ("POST", f"{AT}/tokens", {"name": "a", "policies": [], "condition": {"ip": {}}}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "pointer"), CASES)
def test_a_write_without_a_known_member_is_refused(
    api_with_objects: Api, method: str, path: str, body: object, pointer: str
) -> None:
    """The refusal is 400 / 10021 and points at the missing or the unknown member."""
    answer = send(api_with_objects, method, path, body)

    assert (400, [10021]) == answer.refusal
    if pointer:
        assert [pointer] == answer.pointers


def test_a_misspelt_token_condition_is_refused(api_with_objects: Api) -> None:
    """A misspelt condition is refused, because the token would be valid from every address."""
    group = {"id": "6e6967687473616665207365637265c1"}
    policy = {
        "effect": "allow",
        "permission_groups": [group],
        "resources": {f"com.cloudflare.api.account.{ACCOUNT}": "*"},
    }
    for condition, at in (
        ({"request.ip": {"in": ["192.0.2.1/32"]}}, "/condition/request.ip"),
        ({"request_ip": {"ins": ["192.0.2.1/32"]}}, "/condition/request_ip/ins"),
        ({"request_ip": {"in": ["192.0.2.1/32"], "notin": ["192.0.2.2/32"]}}, "/condition/request_ip/notin"),
    ):
        answer = api_with_objects.json(
            "POST", f"{AT}/tokens", {"name": "a", "policies": [policy], "condition": condition}
        )
        assert ((400, [10021]), [at]) == (answer.refusal, answer.pointers)


def test_a_misspelt_token_limit_is_refused(api_with_objects: Api) -> None:
    """A misspelt limit is refused, because the token would be valid from every address or for ever."""
    policy = {
        "effect": "allow",
        "permission_groups": [{"id": "6e6967687473616665207365637265c1"}],
        "resources": {f"com.cloudflare.api.account.{ACCOUNT}": "*"},
    }
    for slip in ("conditions", "expire_on", "expiresOn", "not_befor"):
        answer = api_with_objects.json("POST", f"{AT}/tokens", {"name": "a", "policies": [policy], slip: "x"})
        assert ((400, [10021]), [f"/{slip}"]) == (answer.refusal, answer.pointers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{script_at('worker')}/secrets-bulk", {"secrets": {}}),
        (f"{script_at('worker')}/settings", {}),
        (f"{script_at('worker')}/script-settings", {}),
        (WORKER, {}),
        (f"{PROJECTS}/site", {}),
        ("{secret}", {}),
    ],
)
def test_an_empty_patch_is_accepted(api_with_objects: Api, path: str, body: object) -> None:
    """A patch that asks for no change is accepted."""
    assert 200 == send(api_with_objects, "PATCH", path, body).status


def test_an_unknown_member_beside_a_known_one_is_ignored(api_with_objects: Api) -> None:
    """An unknown member beside a known one is ignored, as at Cloudflare, and the answer names it."""
    answer = send(api_with_objects, "PATCH", f"{script_at('worker')}/script-settings", {"tags": ["a"], "unknown": 1})

    assert ["/unknown"] == [notice["source"]["pointer"] for notice in answer.envelope["messages"]]
    assert ["a"] == answer.result["tags"]
