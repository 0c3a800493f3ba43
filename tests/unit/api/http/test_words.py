"""Error codes and messages that clients and people act on."""

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


def test_settings_without_their_part_get_10201(api: Api) -> None:
    """A settings form without the part `settings` is refused with 10201, which names that part."""
    for name in ("setting", "settings[bindings][][type]", "metadata"):
        body = form(File(name, b"{}", "application/json", as_file=False))
        answer = api.send("PATCH", f"{script_at('worker')}/settings", body, [form_type()])
        assert (400, [10201]) == answer.refusal
        assert "'settings'" in answer.messages[0]


def test_an_upload_without_metadata_gets_10021(api: Api) -> None:
    """An upload of a script or a version without metadata is refused with 10021, which names that part."""
    for method, path in (("PUT", script_at("worker")), ("POST", versions_of("worker"))):
        answer = api.send(method, path, form(File("worker.js")), [form_type()])
        assert (400, [10021]) == answer.refusal
        assert "'metadata'" in answer.messages[0]


def test_an_overlong_stored_value_gets_1001(own_api: Api) -> None:
    """A stored value over the limit is refused with the limit and a pointer, whether new or changed."""
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
    """Only codes about secrets link to the page about secrets; the others link to their own pages."""
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


def test_a_missing_compatibility_date_reads_as_the_default(own_api: Api) -> None:
    """Every answer with a compatibility date shows the date that the script runs with."""
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
    assert ["2021-11-02"] * len(shown) == [settings["compatibility_date"] for settings in shown]
    own_api.upload("worker", {"main_module": "worker.js", "compatibility_date": "2024-01-01"})
    assert "2024-01-01" == own_api.send("GET", f"{script}/settings").result["compatibility_date"]


@pytest.mark.parametrize("key_format", ["pkcs8", "spki", "raw"])
@pytest.mark.parametrize("sent", [PEM, PEM.replace("\n", "\r\n"), base64.b64encode(PEM.encode()).decode()])
def test_a_pem_file_as_a_key_gets_a_hint(api: Api, key_format: str, sent: str) -> None:
    """A PEM file, plain or in base64, is refused with the command that converts it, and without the key."""
    answer = api.put("worker", ED25519 | {"format": key_format, "key_base64": sent})

    assert ((400, [10021]), ["/key_base64"]) == (answer.refusal, answer.pointers)
    assert "PEM" in answer.messages[0]
    assert "openssl pkcs8 -topk8 -nocrypt" in answer.messages[0]
    assert b"MC4CAQ" not in answer.body
    lines = "".join(line for line in PEM.splitlines() if not line.startswith("-----"))
    assert 200 == api.put("worker", ED25519 | {"format": "pkcs8", "key_base64": lines}).status


def test_a_name_conflict_names_the_type_of_the_binding(own_api: Api) -> None:
    """Each refusal names the type of the binding that has the name: one secret, several, undeployed."""
    bindings = [
        {"type": "plain_text", "name": "V", "text": "x"},
        {"type": "kv_namespace", "name": "KV", "namespace_id": "x"},
    ]
    own_api.upload("worker", {"main_module": "worker.js", "bindings": bindings})
    text = {"type": "secret_text", "text": "x"}
    rest = "already in use. Please use a different name and try again. It is the name of a {} binding."

    put = own_api.put("worker", text | {"name": "V"})
    bulk = own_api.patch("worker", {"V": text, "KV": text})
    undeployed = own_api.json("PATCH", f"{AT}/workers/workers/worker/versions/latest", {"env": {"KV": text}})

    assert [(400, [10053]), (400, [10053, 10053]), (400, [10053])] == [
        answer.refusal for answer in (put, bulk, undeployed)
    ]
    kinds = {"V": "plain_text", "KV": "kv_namespace"}
    for answer in (put, bulk, undeployed):
        for message in answer.messages:
            name = message.split("'")[1]
            assert f"Binding name '{name}' {rest.format(kinds[name])}" == message


def test_a_base_url_may_end_with_a_slash(api: Api) -> None:
    """Two slashes after `/client/v4` work for reads and writes; two slashes elsewhere do not."""
    assert 200 == api.put("worker", {"type": "secret_text", "name": "SLASH", "text": "x"}).status
    path = secret_at("worker", "SLASH")
    twice = path.replace("/client/v4/", "/client/v4//")

    assert api.send("GET", path).body == api.send("GET", twice).body
    assert 200 == api.send("GET", "/client/v4//accounts").status
    assert 200 == api.send("DELETE", twice).status
    assert (404, [10056]) == api.send("GET", path).refusal
    for bad in ("/client/v4///accounts", "/client//v4/accounts", f"{script_at('worker')}//secrets"):
        assert api.send("GET", bad).status in {400, 404}


def test_a_twice_encoded_name_is_found_on_request(own_api: Api) -> None:
    """`url_encoded=true` finds a name that was encoded twice, unless a secret has the once-decoded name."""
    own_api.upload("worker")
    for name in ("a/b", "ü %"):
        assert 200 == own_api.put("worker", {"type": "secret_text", "name": name, "text": "x"}).status

    def get(segment: str, query: str = "?url_encoded=true") -> tuple[int, Any]:
        """Return the status and the name that was found."""
        answer = own_api.send("GET", f"{script_at('worker')}/secrets/{segment}{query}")
        return answer.status, (answer.envelope["result"] or {}).get("name")

    assert (200, "a/b") == get("a%252Fb") == get("a%2Fb") == get("a%2Fb", "")
    assert (200, "ü %") == get("%25C3%25BC%2520%2525")
    assert (404, None) == get("a%252Fb", "") == get("a%252Fb", "?url_encoded=false") == get("a%252Fc")
    own_api.put("worker", {"type": "secret_text", "name": "a%2Fb", "text": "x"})
    assert (200, "a%2Fb") == get("a%252Fb")
    path = f"{script_at('worker')}/secrets/a%252Fb?url_encoded=true"
    assert [200, 200, 404] == [own_api.send("DELETE", path).status for _ in range(3)]
    assert ["ü %"] == [secret["name"] for secret in own_api.send("GET", f"{script_at('worker')}/secrets").result]


def test_a_bulk_secret_over_a_variable_is_refused_like_a_put(own_api: Api) -> None:
    """Wrangler 4.86 sends every binding without its value, followed by the new secrets."""
    variable = {"type": "plain_text", "name": "V", "text": "x"}
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [variable]})
    bindings = [{"type": "plain_text", "name": "V"}, {"type": "secret_text", "name": "V", "text": "secret"}]
    part = File("settings", json.dumps({"bindings": bindings}).encode(), "application/json", as_file=False)

    answer = own_api.send("PATCH", f"{script_at('worker')}/settings", form(part), [form_type()])
    put = own_api.send("PUT", f"{script_at('worker')}/secrets", json.dumps(bindings[1]).encode(), [JSON])

    assert (put.refusal, put.messages) == (answer.refusal, answer.messages)
    assert [variable] == own_api.send("GET", f"{script_at('worker')}/bindings").result


def test_the_parts_of_an_upload_may_come_in_any_order(api: Api) -> None:
    """The metadata part may come after the code."""
    body = form(File("worker.js"), metadata({"main_module": "worker.js"}))

    assert 200 == api.send("PUT", script_at("in-order"), body, [form_type()]).status
