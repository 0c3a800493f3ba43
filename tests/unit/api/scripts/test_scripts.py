"""Uploads as clients send them, and the filters and the search of the script list."""

import json
import uuid
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import metadata

from nightsafe.bindings.kinds import PLAIN_KINDS

SEARCH = f"/client/v4/accounts/{ACCOUNT}/workers/scripts-search"


def binding_of(kind: str) -> dict[str, Any]:
    """Return a binding of this type with every member that it may have."""
    texts: dict[str, Any] = {member: f"a {member}" for member in PLAIN_KINDS[kind]}
    if kind == "service":  # the target must exist: the script is bound to itself
        texts |= {"service": "worker", "environment": "production", "cross_account_grant": ""}
    not_text = {"part": "worker.js", "json": {"a": [1, 2.5, None]}, "simple": {"limit": 1, "period": 60}, "raw": True}
    return {
        "name": f"A_{kind}",
        "type": kind,
        **texts,
        **{name: not_text[name] for name in not_text if name in texts},
    }


def shown_script(api: Api, name: str) -> dict[str, Any]:
    """Return a script as the list shows it."""
    found: dict[str, Any] = next(script for script in api.send("GET", SCRIPTS).result if script["id"] == name)
    return found


def test_bindings_of_every_type_read_back_unchanged(own_api: Api) -> None:
    """Bindings of every type read back unchanged, also after `keep_bindings` and `inherit`."""
    stores = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
    store = own_api.json("POST", stores, {"name": "main"}).result["id"]
    secret = {"name": "a_secret", "value": "x", "scopes": ["workers"]}
    assert 200 == own_api.json("POST", f"{stores}/{store}/secrets", [secret]).status
    overrides = {"secrets_store_secret": {"store_id": store, "secret_name": "a_secret"}}
    bindings = [binding_of(kind) | overrides.get(kind, {}) for kind in PLAIN_KINDS]
    by_name = sorted(bindings, key=lambda binding: binding["name"])
    target = f"{script_at('worker')}/versions?per_page=1"

    def held() -> Any:
        """Return the bindings of the newest version."""
        return own_api.send("GET", target).result["items"][0]["resources"]["bindings"]

    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": bindings}).status == 200
    assert by_name == held()
    own_api.upload("worker", {"main_module": "worker.js", "keep_bindings": [*PLAIN_KINDS]})
    assert by_name == held()
    inherits = [{"name": binding["name"], "type": "inherit"} for binding in bindings]
    own_api.upload("worker", {"main_module": "worker.js", "bindings": inherits}, query="?bindings_inherit=strict")
    assert by_name == held()
    own_api.upload("worker", {"main_module": "worker.js"})
    assert [] == held()


def test_a_member_of_another_binding_type_is_dropped(own_api: Api) -> None:
    """A member that belongs to another type is dropped, because it may be a misplaced secret."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [{**values.text("A"), "type": "browser"}]})

    settings = own_api.send("GET", f"{script_at('worker')}/settings")
    assert [{"name": "A", "type": "browser"}] == settings.result["bindings"]
    assert not values.holds_plant(settings.body)


def test_wranglers_draft_is_accepted(own_api: Api) -> None:
    """Wrangler's draft has a part `metadata` without a Content-Type, and a module named like the script."""
    draft = b'{"main_module":"new","bindings":[],"logpush":false}'
    head = b'Content-Disposition: form-data; name="metadata"\r\n\r\n' + draft
    boundary = b"----formdata-undici-082319482884"
    module = File("new", b"export default { fetch() {} }").part()
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in (head, module)) + b"--%b--\r\n" % boundary

    answer = own_api.send("PUT", script_at("new"), body, [form_type(boundary.decode())])

    assert ("new", True, False) == tuple(answer.result[name] for name in ("id", "has_modules", "logpush"))
    assert answer.result["deployment_id"] == uuid.UUID(answer.result["deployment_id"]).hex
    assert (0, "new") == (answer.result["startup_time_ms"], answer.result["entry_point"])


def test_the_upload_form_of_the_sdks_is_accepted(own_api: Api) -> None:
    """The SDKs send all files in parts of the same name, with the metadata before or after them."""
    files = [
        File("", body, head=b'Content-Disposition: form-data; name="%b"; filename="%b"' % (field, name))
        for field, name, body in ((b"files", b"index.js", b"1"), (b"files", b"other.js", b"2"))
    ]
    fields = {"main_module": "index.js", "bindings": [values.text("T")], "keep_bindings": ["secret_text"]}
    as_file = File("metadata", json.dumps(fields).encode(), "application/json")

    for parts in ((*files, metadata(fields)), (as_file, *files)):
        answer = own_api.send("PUT", script_at("worker"), form(*parts), [form_type()])
        assert "index.js" == answer.result["entry_point"]
        assert b"index.js" == own_api.send("GET", script_at("worker")).header(b"cf-entrypoint")


def test_an_upload_keeps_script_settings_that_it_omits(own_api: Api) -> None:
    """Tags, logpush, observability and tail consumers stay unless they are sent; versioned settings do not."""
    of_script = {
        "tags": ["a"], "logpush": True, "observability": {"enabled": True}, "tail_consumers": [{"service": "t"}],
    }  # fmt: skip
    own_api.upload("worker", {"main_module": "worker.js", "compatibility_date": "2026-01-01", **of_script})

    own_api.upload("worker", {"main_module": "worker.js", "logpush": False, "tags": None})

    shown = shown_script(own_api, "worker")
    assert of_script | {"logpush": False} == {name: shown[name] for name in of_script}
    assert "2021-11-02" == shown["compatibility_date"]


def test_static_assets_are_refused(own_api: Api) -> None:
    """An upload with static assets is refused; an upload that only configures them is accepted."""
    fields: dict[str, Any] = {"main_module": "worker.js", "assets": {"jwt": values.planted(), "config": {}}}
    answer = own_api.upload("worker", fields)

    assert ((400, [10015]), ["/assets/jwt"]) == (answer.refusal, answer.pointers)
    assert ["Nightsafe does not keep static assets."] == answer.messages
    fields["assets"].pop("jwt")
    answer = own_api.upload("worker", fields | {"keep_assets": True})
    assert (200, False) == (answer.status, answer.result["has_assets"])


def test_a_migration_must_start_from_the_current_tag(own_api: Api) -> None:
    """A script keeps its tag until the next migration; a migration from another tag is refused."""

    def migrate(**tags: str) -> Any:
        """Upload with a migration."""
        return own_api.upload("worker", {"main_module": "worker.js", "migrations": {**tags, "new_classes": ["A"]}})

    assert (400, [10079]) == migrate(old_tag="v0", new_tag="v1").refusal
    assert (404, [10007]) == own_api.send("GET", script_at("worker")).refusal
    assert "v1" == migrate(new_tag="v1").result["migration_tag"]
    assert "v1" == own_api.upload("worker").result["migration_tag"]
    refused = migrate(old_tag="v0", new_tag="v2")
    assert ((400, [10079]), True) == (
        refused.refusal,
        "'v0'" in refused.messages[0] and "'v1'" in refused.messages[0],
    )
    assert "v2" == migrate(old_tag="v1", new_tag="v2").result["migration_tag"]
    assert "v2" == shown_script(own_api, "worker")["migration_tag"]


@pytest.fixture
def tagged(own_api: Api) -> Api:
    """Return an API with three scripts, two of them tagged."""
    for name, tags in (("b-one", ["production"]), ("a-two", ["production", "cf:x=y"]), ("c", None)):
        own_api.upload(name, {"main_module": "worker.js", "tags": tags})
    return own_api


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a-two", "b-one", "c"]),
        ("tags=", ["a-two", "b-one", "c"]),
        ("tags=production:yes", ["a-two", "b-one"]),
        ("tags=production:yes,cf:x=y:no", ["b-one"]),
        ("tags=cf:x%3Dy:yes", ["a-two"]),
        ("tags=absent:no", ["a-two", "b-one", "c"]),
    ],
)
def test_the_script_list_can_be_filtered_by_tags(tagged: Api, query: str, names: list[str]) -> None:
    """The list shows the scripts that have or lack each given tag, by name and on one page."""
    answer = tagged.send("GET", f"{SCRIPTS}?{query}")

    assert names == [script["id"] for script in answer.result]
    assert "result_info" not in answer.envelope


@pytest.mark.parametrize("bad", ["production", "production:maybe", "a:yes,,b:no"])
def test_a_malformed_tag_filter_is_refused(tagged: Api, bad: str) -> None:
    """A malformed filter is refused."""
    assert (400, [10021]) == tagged.send("GET", f"{SCRIPTS}?tags={bad}").refusal


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a-two", "b-one", "c"]),
        ("name=o", ["a-two", "b-one"]),
        ("name=O", []),
        ("order_by=created_on", ["b-one", "a-two", "c"]),
        ("order_by=modified_on&name=-", ["b-one", "a-two"]),
        ("per_page=2", ["a-two", "b-one"]),
        ("per_page=2&page=2", ["c"]),
        ("page=2", []),
        ("id=" + "0" * 32, []),
    ],
)
def test_the_search_finds_scripts_by_name_or_id(tagged: Api, query: str, names: list[str]) -> None:
    """The search finds scripts by part of the name or by ID, in the given order, in pages."""
    answer = tagged.send("GET", f"{SEARCH}?{query}")

    assert names == [script["script_name"] for script in answer.result]
    assert len(names) == answer.envelope["result_info"]["count"]


def test_a_search_result_has_the_scripts_id(tagged: Api) -> None:
    """A result of the search has the script's permanent ID; an unknown order is refused."""
    script = shown_script(tagged, "c")

    found = tagged.send("GET", f"{SEARCH}?id={script['tag']}").result

    assert [
        {
            "id": script["tag"],
            "script_name": "c",
            "service_name": "c",
            "environment_name": "production",
            "environment_is_default": True,
            "created_on": script["created_on"],
            "modified_on": script["modified_on"],
        }
    ] == found
    assert (400, [10021]) == tagged.send("GET", f"{SEARCH}?order_by=size").refusal
