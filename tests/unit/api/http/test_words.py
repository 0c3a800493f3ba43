"""Codes and words that clients and people act on, one clause each."""

import base64
import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Api, File, form, form_type, script_at, secret_at
from tests.unit.api.tools.uploads import metadata, versions_of

from nightsafe.api.http.errors import INTERNAL, TABLE
from nightsafe.errors import Code

AT = f"/client/v4/accounts/{ACCOUNT}"
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
ED25519 = {"type": "secret_key", "name": "K", "algorithm": {"name": "Ed25519"}, "usages": ["sign"]}


def test_settings_without_their_part_are_10201(api: Api) -> None:
    """A form that has other parts, or is spread over parts."""
    for name in ("setting", "settings[bindings][][type]", "metadata"):
        body = form(File(name, b"{}", "application/json", as_file=False))
        answer = api.send("PATCH", f"{script_at('worker')}/settings", body, [form_type()])
        assert (400, [10201]) == answer.refusal
        assert "'settings'" in answer.messages[0]


def test_an_upload_without_metadata_is_10021(api: Api) -> None:
    """Of a script and of a version."""
    for method, path in (("PUT", script_at("worker")), ("POST", versions_of("worker"))):
        answer = api.send(method, path, form(File("worker.js")), [form_type()])
        assert (400, [10021]) == answer.refusal
        assert "'metadata'" in answer.messages[0]


def test_a_stored_value_that_is_too_long_is_1001(own_api: Api) -> None:
    """New or changed, with the limit and a pointer; what fits is taken."""
    stores = f"{AT}/secrets_store/stores"
    at = f"{stores}/{own_api.json('POST', stores, {'name': 'main'}).result['id']}/secrets"
    secret = {"name": "A", "value": "x" * 65_537, "scopes": ["workers"]}

    answer = own_api.json("POST", at, [secret])
    assert ((400, [1001]), ["/0/value"]) == (answer.refusal, answer.pointers)
    assert "65536" in answer.messages[0]
    made = own_api.json("POST", at, [secret | {"value": "x" * 65_536}]).result[0]["id"]
    changed = own_api.json("PATCH", f"{at}/{made}", {"value": "x" * 65_537})
    assert ((400, [1001]), ["/value"]) == (changed.refusal, changed.pointers)


def test_every_code_but_10220_links_to_a_page_about_it() -> None:
    """Not all to that of secrets: only what is wrong with a secret leads there."""
    secrets = "/subresources/secrets/"
    assert [Code.SECRETS_CHANGED] == [code for code, row in TABLE.items() if not row.documentation_url]
    about = {
        code for code, row in TABLE.items() if "workers" in row.documentation_url and secrets in row.documentation_url
    }
    assert {Code.BINDING_NOT_FOUND} == about
    pages = {row.documentation_url for row in (*TABLE.values(), INTERNAL)}
    assert len(pages) > len({row.code for row in TABLE.values()}) / 2
    for codes in (
        (Code.SCRIPT_NOT_FOUND, Code.VERSION_NOT_FOUND, Code.DEPLOYMENT_NOT_FOUND, Code.NAMESPACE_NOT_FOUND),
        (Code.PROJECT_NOT_FOUND, Code.STORE_NOT_FOUND, Code.STORE_SECRET_NOT_FOUND, Code.TOKEN_NOT_FOUND),
        (Code.INVALID, Code.NO_SETTINGS, Code.SCRIPT_UNPARSABLE, Code.BODY_UNREADABLE, Code.UNSUPPORTED),
        (Code.BINDING_NAME_TAKEN, Code.BINDING_NOT_FOUND, Code.BINDING_TOO_LARGE, Code.SECRET_NOT_LIVE),
    ):
        assert len(codes) == len({TABLE[code].documentation_url for code in codes})


def test_no_compatibility_date_reads_back_as_the_default(own_api: Api) -> None:
    """On every page that shows one: it is the date that the script is run with."""
    own_api.upload("worker", {"main_module": "worker.js"})
    version = own_api.send("GET", versions_of("worker")).result["items"][0]["id"]
    script = script_at("worker")
    runtime = own_api.send("GET", f"{versions_of('worker')}/{version}").result["resources"]["script_runtime"]

    shown = [
        own_api.send("GET", f"{script}/settings").result,
        runtime,
        own_api.send("GET", script_at("")[:-1]).result[0],
        own_api.send("GET", f"{AT}/workers/workers/worker/versions/latest").result,
        own_api.send("GET", f"{AT}/workers/services/worker").result["default_environment"]["script"],
    ]
    assert ["2021-11-02"] * len(shown) == [one["compatibility_date"] for one in shown]
    own_api.upload("worker", {"main_module": "worker.js", "compatibility_date": "2024-01-01"})
    assert "2024-01-01" == own_api.send("GET", f"{script}/settings").result["compatibility_date"]


@pytest.mark.parametrize("key_format", ["pkcs8", "spki", "raw"])
@pytest.mark.parametrize("sent", [PEM, PEM.replace("\n", "\r\n"), base64.b64encode(PEM.encode()).decode()])
def test_a_pem_file_as_a_key_gets_a_hint(api: Api, key_format: str, sent: str) -> None:
    """Itself or in base64: what it is, and how to make what is wanted of it; nothing of the key."""
    answer = api.put("worker", ED25519 | {"format": key_format, "key_base64": sent})

    assert ((400, [10021]), ["/key_base64"]) == (answer.refusal, answer.pointers)
    assert "PEM" in answer.messages[0]
    assert "openssl pkcs8 -topk8 -nocrypt" in answer.messages[0]
    assert b"MC4CAQ" not in answer.body
    lines = "".join(line for line in PEM.splitlines() if not line.startswith("-----"))
    assert 200 == api.put("worker", ED25519 | {"format": "pkcs8", "key_base64": lines}).status


def test_a_name_that_is_taken_is_taken_by_a_kind(own_api: Api) -> None:
    """Whoever puts a secret over something else learns what it is: one secret, several, without deploying."""
    bindings = [
        {"type": "plain_text", "name": "V", "text": "x"},
        {"type": "kv_namespace", "name": "KV", "namespace_id": "x"},
    ]
    own_api.upload("worker", {"main_module": "worker.js", "bindings": bindings})
    text = {"type": "secret_text", "text": "x"}
    words = "already in use. Please use a different name and try again. It is the name of a {} binding."

    put = own_api.put("worker", text | {"name": "V"})
    bulk = own_api.patch("worker", {"V": text, "KV": text})
    undeployed = own_api.json("PATCH", f"{AT}/workers/workers/worker/versions/latest", {"env": {"KV": text}})

    assert [(400, [10053]), (400, [10053, 10053]), (400, [10053])] == [one.refusal for one in (put, bulk, undeployed)]
    kinds = {"V": "plain_text", "KV": "kv_namespace"}
    for answer in (put, bulk, undeployed):
        for message in answer.messages:
            name = message.split("'")[1]
            assert f"Binding name '{name}' {words.format(kinds[name])}" == message


def test_a_base_url_with_a_slash_at_its_end_works(api: Api) -> None:
    """Reads, writes and the shortest way; anywhere else two slashes lead nowhere."""
    assert 200 == api.put("worker", {"type": "secret_text", "name": "SLASH", "text": "x"}).status
    path = secret_at("worker", "SLASH")
    twice = path.replace("/client/v4/", "/client/v4//")

    assert api.send("GET", path).body == api.send("GET", twice).body
    assert 200 == api.send("GET", "/client/v4//accounts").status
    assert 200 == api.send("DELETE", twice).status
    assert (404, [10056]) == api.send("GET", path).refusal
    for bad in ("/client/v4///accounts", "/client//v4/accounts", f"{script_at('worker')}//secrets"):
        assert api.send("GET", bad).status in {400, 404}


def test_a_name_that_was_encoded_twice_is_found(own_api: Api) -> None:
    """With `url_encoded=true`, and only where no secret has the name as it stands in the path."""
    own_api.upload("worker")
    for name in ("a/b", "ü %"):
        assert 200 == own_api.put("worker", {"type": "secret_text", "name": name, "text": "x"}).status

    def get(segment: str, query: str = "?url_encoded=true") -> tuple[int, Any]:
        """The status, and the name that is found."""
        answer = own_api.send("GET", f"{script_at('worker')}/secrets/{segment}{query}")
        return answer.status, (answer.envelope["result"] or {}).get("name")

    assert (200, "a/b") == get("a%252Fb") == get("a%2Fb") == get("a%2Fb", "")
    assert (200, "ü %") == get("%25C3%25BC%2520%2525")
    assert (404, None) == get("a%252Fb", "") == get("a%252Fb", "?url_encoded=false") == get("a%252Fc")
    own_api.put("worker", {"type": "secret_text", "name": "a%2Fb", "text": "x"})
    assert (200, "a%2Fb") == get("a%252Fb")
    path = f"{script_at('worker')}/secrets/a%252Fb?url_encoded=true"
    assert [200, 200, 404] == [own_api.send("DELETE", path).status for _ in range(3)]
    assert ["ü %"] == [one["name"] for one in own_api.send("GET", f"{script_at('worker')}/secrets").result]


def test_a_bulk_over_a_variable_is_refused_like_a_put(own_api: Api) -> None:
    """As wrangler 4.86 sends it: every binding bare, and the new secrets behind them."""
    variable = {"type": "plain_text", "name": "V", "text": "x"}
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [variable]})
    bindings = [{"type": "plain_text", "name": "V"}, {"type": "secret_text", "name": "V", "text": "secret"}]
    part = File("settings", json.dumps({"bindings": bindings}).encode(), "application/json", as_file=False)

    answer = own_api.send("PATCH", f"{script_at('worker')}/settings", form(part), [form_type()])
    put = own_api.send("PUT", f"{script_at('worker')}/secrets", json.dumps(bindings[1]).encode(), [JSON])

    assert (put.refusal, put.messages) == (answer.refusal, answer.messages)
    assert [variable] == own_api.send("GET", f"{script_at('worker')}/bindings").result


def test_the_parts_of_an_upload_may_come_in_any_order(api: Api) -> None:
    """What is refused for its metadata has none at all."""
    body = form(File("worker.js"), metadata({"main_module": "worker.js"}))

    assert 200 == api.send("PUT", script_at("in-order"), body, [form_type()]).status
