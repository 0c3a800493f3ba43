"""Bindings that an upload keeps: each cell of the table in decision 0010, and secrets without values."""

import base64
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import metadata

PAGE = Path(__file__).parents[4] / "docs" / "decisions" / "0010-what-an-upload-keeps.md"
AT = f"/client/v4/accounts/{ACCOUNT}/workers"
NAMESPACE = f"{AT}/dispatch/namespaces/customers"
KEY: dict[str, Any] = {
    "type": "secret_key", "name": "K", "format": "raw", "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
}  # fmt: skip
MATERIAL = {"key_base64": base64.b64encode(bytes(range(32))).decode()}
TEXT = {"type": "secret_text", "name": "S"}
BEFORE = [
    {**TEXT, "text": "before"},
    KEY | MATERIAL,
    {"type": "plain_text", "name": "P", "text": "before"},
    {"type": "json", "name": "J", "json": [1]},
    {"type": "browser", "name": "B"},
]
NAMES = {"secret_text": "S", "secret_key": "K", "plain_text": "P", "json": "J", "browser": "B"}
FILE = File("worker.js")
_numbers = itertools.count()


def send_form(api: Api, method: str, path: str, fields: dict[str, Any]) -> Answer:
    """Upload a form."""
    body = form(metadata({"main_module": FILE.name, **fields}), FILE)
    return api.send(method, path, body, [form_type()])


def send_json(api: Api, path: str, fields: dict[str, Any]) -> Answer:
    """Upload one JSON object."""
    content = base64.b64encode(FILE.body).decode()
    module = {"name": FILE.name, "content_type": FILE.content_type, "content_base64": content}
    return api.send(
        "POST", path, json.dumps({"main_module": FILE.name, "modules": [module], **fields}).encode(), [JSON]
    )


def send_settings(api: Api, name: str, fields: dict[str, Any]) -> Answer:
    """PATCH the settings."""
    part = File("settings", json.dumps(fields).encode(), "application/json", as_file=False)
    return api.send("PATCH", f"{script_at(name)}/settings", form(part), [form_type()])


Upload = Callable[[Api, str, dict[str, Any]], Answer]
ENDPOINTS: dict[str, Upload] = {
    "PUT S/{script}": lambda api, name, fields: send_form(api, "PUT", script_at(name), fields),
    "PUT N/{namespace}/scripts/{script}": lambda api, name, fields: send_form(
        api, "PUT", f"{NAMESPACE}/scripts/{name}", fields
    ),
    "PUT …/services/{service}/environments/{environment}": lambda api, name, fields: send_form(
        api, "PUT", f"{AT}/services/{name}/environments/production", fields
    ),
    "POST …/workers/{worker}/versions?deploy=true": lambda api, name, fields: send_json(
        api, f"{AT}/workers/{name}/versions?deploy=true", fields
    ),
    "POST S/{script}/versions": lambda api, name, fields: send_form(
        api, "POST", f"{script_at(name)}/versions", fields
    ),
    "POST …/workers/{worker}/versions": lambda api, name, fields: send_json(
        api, f"{AT}/workers/{name}/versions", fields
    ),
}
SETTINGS = "PATCH S/{script}/settings"
ENDPOINTS_AND_SETTINGS = ENDPOINTS | {
    SETTINGS: lambda api, name, fields: send_settings(api, name, {"bindings": [], **fields})
}
"""The uploads, and the change of settings, which has bindings but no code."""


def table() -> list[tuple[str, str, str]]:
    """Return the cells of the page's table: the form of `keep_bindings`, the endpoint, and what stays."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| ---")]
    head, *body = rows
    endpoints = [cell.removesuffix(" with `bindings`").strip("`") for cell in head[1:]]
    return [(row[0].strip("`"), at, cell) for row in body for at, cell in zip(endpoints, row[1:], strict=True)]


def script_path(endpoint: str, name: str) -> str:
    """Return the path of the script that an endpoint uploads."""
    return f"{NAMESPACE}/scripts/{name}" if "N/" in endpoint else script_at(name)


def new_script(api: Api, endpoint: str = "PUT S/{script}") -> str:
    """Upload a new script with a binding of each type; return its name."""
    if api.send("GET", NAMESPACE).status != 200:
        assert api.json("POST", f"{AT}/dispatch/namespaces", {"name": "customers"}).status == 200
    name = f"kept-{next(_numbers)}"
    assert send_form(api, "PUT", script_path(endpoint, name), {"bindings": BEFORE}).status == 200
    return name


def held(api: Api, path: str) -> dict[str, dict[str, Any]]:
    """Return the newest version's bindings by name."""
    return {binding["name"]: binding for binding in api.send("GET", f"{path}/settings").result["bindings"]}


def test_the_table_has_every_endpoint_and_form() -> None:
    """The table has one cell for each endpoint and each form of `keep_bindings`."""
    cells = table()

    assert set(ENDPOINTS_AND_SETTINGS) == {endpoint for _, endpoint, _ in cells}
    forms = {form for form, _, _ in cells}
    assert {"absent", "null", "[]", '["plain_text", "json"]', '["secret_key"]'} <= forms
    assert len(cells) == len(ENDPOINTS_AND_SETTINGS) * len(forms) == len({cell[:2] for cell in cells})


@pytest.mark.parametrize(("keep", "endpoint", "stays"), table())
def test_an_upload_keeps_the_bindings_that_the_table_says(api: Api, keep: str, endpoint: str, stays: str) -> None:
    """Exactly the bindings that the page says stay do stay, and a binding in the upload replaces a kept one."""
    name = new_script(api, endpoint)
    path = script_path(endpoint, name)
    listed = [] if keep == "absent" else json.loads(keep) or []
    names_of = {"secrets": {"S", "K"}, "listed": {NAMES[kind] for kind in listed}, "nothing": set()}
    expected = set[str]().union(*(names_of[word] for word in re.findall(r"\w+", stays)))
    fields = {} if keep == "absent" else {"keep_bindings": json.loads(keep)}
    brought = {"type": "plain_text", "name": "S", "text": "now a variable"}

    assert ENDPOINTS_AND_SETTINGS[endpoint](api, name, fields).status == 200
    assert expected == set(held(api, path))
    again = new_script(api, endpoint)
    assert ENDPOINTS_AND_SETTINGS[endpoint](api, again, fields | {"bindings": [brought]}).status == 200
    assert expected | {"S"} == set(held(api, script_path(endpoint, again)))
    assert brought == held(api, script_path(endpoint, again))["S"]


def test_settings_without_bindings_keep_all_bindings(api: Api) -> None:
    """Settings without `bindings` keep all bindings, with any `keep_bindings`; a malformed list is refused."""
    for keep in ([], ["plain_text"], ["secret_text"], None):
        name = new_script(api)
        assert send_settings(api, name, {"keep_bindings": keep}).status == 200
        assert set(NAMES.values()) == set(held(api, script_at(name)))
    bad: object
    for bad in ("secret_text", ["secret"], [1], {}):
        answer = send_settings(api, new_script(api), {"keep_bindings": bad, "bindings": []})
        assert ((400, [10021]), ["/keep_bindings"]) == (answer.refusal, answer.pointers)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("keep", [["secret_key", "secret_text"], ["secret_key"], []])
@pytest.mark.parametrize("bare", [KEY, {"type": "secret_key", "name": "K"}, TEXT])
def test_a_secret_sent_without_its_value_stays(
    api: Api, endpoint: str, keep: list[str], bare: dict[str, Any]
) -> None:
    """A secret that is sent without its value keeps its value, and the answer recommends `inherit`."""
    name = new_script(api, endpoint)
    path = script_path(endpoint, name)
    before = held(api, path)[bare["name"]]

    answer = ENDPOINTS[endpoint](api, name, {"keep_bindings": keep, "bindings": [bare]})

    assert before == held(api, path)[bare["name"]]
    notices = [notice["message"] for notice in answer.envelope["messages"]]
    assert [True] == [f"'{bare['name']}'" in notice and "'inherit'" in notice for notice in notices]


def test_a_new_secret_replaces_one_without_a_value(api: Api) -> None:
    """A new secret replaces one without a value earlier in the list.

    Wrangler 3.90 sends both for `versions secret put` over a key.
    """
    name = new_script(api)
    new = {**TEXT, "name": "K", "text": "now a text"}

    assert ENDPOINTS["POST S/{script}/versions"](api, name, {"bindings": [KEY, new]}).status == 200
    assert "secret_text" == held(api, script_at(name))["K"]["type"]
    twice = ENDPOINTS["PUT S/{script}"](api, name, {"bindings": [new, KEY]})
    assert ((400, [10053]), ["/bindings/1"]) == (twice.refusal, twice.pointers)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("bare", "member"),
    [
        ({"type": "secret_text", "name": "NONE"}, "text"),
        ({"type": "secret_text", "name": "S", "value": "misspelt"}, "text"),
        ({"type": "secret_text", "name": "P"}, "text"),
        (KEY | {"name": "NONE"}, "key_base64"),
        (KEY | {"usages": ["sign", "verify"]}, "key_base64"),
        (KEY | {"key_base46": "misspelt"}, "key_base64"),
        (KEY | {"format": "jwk"}, "key_jwk"),
    ],
)
def test_a_valueless_secret_that_does_not_match_is_refused(
    api: Api, endpoint: str, bare: dict[str, Any], member: str
) -> None:
    """The refusal names the secret and recommends `inherit`, and nothing changes."""
    name = new_script(api, endpoint)
    before = held(api, script_path(endpoint, name))

    answer = ENDPOINTS[endpoint](api, name, {"bindings": [bare]})

    assert ((400, [10021]), [f"/bindings/0/{member}"]) == (answer.refusal, answer.pointers)
    assert f"'{bare['name']}'" in answer.messages[0]
    assert '"inherit"' in answer.messages[0]
    assert before == held(api, script_path(endpoint, name))
