"""Uploads as clients send them, lists of scripts with their filters, and the search."""

import json
import uuid
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import metadata

from nightsafe.bindings.kinds import PLAIN_KINDS

SEARCH = f"/client/v4/accounts/{ACCOUNT}/workers/scripts-search"


def one_of(kind: str) -> dict[str, Any]:
    """A binding of a kind, with every member it may have."""
    texts: dict[str, Any] = {member: f"a {member}" for member in PLAIN_KINDS[kind]}
    if kind == "service":  # what it leads to must be there: it is bound to itself
        texts |= {"service": "worker", "environment": "production", "cross_account_grant": ""}
    odd = {"part": "worker.js", "json": {"a": [1, 2.5, None]}, "simple": {"limit": 1, "period": 60}, "raw": True}
    return {"name": f"A_{kind}", "type": kind, **texts, **{name: odd[name] for name in odd if name in texts}}


def shown_script(api: Api, name: str) -> dict[str, Any]:
    """A script as the list shows it."""
    found: dict[str, Any] = next(script for script in api.send("GET", SCRIPTS).result if script["id"] == name)
    return found


def test_every_kind_of_binding_goes_and_comes(own_api: Api) -> None:
    """Each is given back as it came, by the version and, on the next upload, by `keep_bindings` and `inherit`."""
    stores = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
    store = own_api.json("POST", stores, {"name": "main"}).result["id"]
    secret = {"name": "a_secret", "value": "x", "scopes": ["workers"]}
    assert 200 == own_api.json("POST", f"{stores}/{store}/secrets", [secret]).status
    there = {"secrets_store_secret": {"store_id": store, "secret_name": "a_secret"}}
    every = [one_of(kind) | there.get(kind, {}) for kind in PLAIN_KINDS]
    by_name = sorted(every, key=lambda one: one["name"])
    target = f"{script_at('worker')}/versions?per_page=1"

    def held() -> Any:
        """The bindings of the newest version."""
        return own_api.send("GET", target).result["items"][0]["resources"]["bindings"]

    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": every}).status == 200
    assert by_name == held()
    own_api.upload("worker", {"main_module": "worker.js", "keep_bindings": [*PLAIN_KINDS]})
    assert by_name == held()
    inherits = [{"name": one["name"], "type": "inherit"} for one in every]
    own_api.upload("worker", {"main_module": "worker.js", "bindings": inherits}, query="?bindings_inherit=strict")
    assert by_name == held()
    own_api.upload("worker", {"main_module": "worker.js"})
    assert [] == held()


def test_a_member_of_another_kind_is_not_kept(own_api: Api) -> None:
    """It would be shown again, and may be a secret in the wrong place."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [{**values.text("A"), "type": "browser"}]})

    settings = own_api.send("GET", f"{script_at('worker')}/settings")
    assert [{"name": "A", "type": "browser"}] == settings.result["bindings"]
    assert not values.holds_plant(settings.body)


def test_the_draft_of_wrangler_is_taken(own_api: Api) -> None:
    """A part `metadata` without a Content-Type, and a module called as the script."""
    draft = b'{"main_module":"new","bindings":[],"logpush":false}'
    head = b'Content-Disposition: form-data; name="metadata"\r\n\r\n' + draft
    boundary = b"----formdata-undici-082319482884"
    module = File("new", b"export default { fetch() {} }").part()
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in (head, module)) + b"--%b--\r\n" % boundary

    answer = own_api.send("PUT", script_at("new"), body, [form_type(boundary.decode())])

    assert ("new", True, False) == tuple(answer.result[name] for name in ("id", "has_modules", "logpush"))
    assert answer.result["deployment_id"] == uuid.UUID(answer.result["deployment_id"]).hex
    assert (0, "new") == (answer.result["startup_time_ms"], answer.result["entry_point"])


def test_the_form_of_the_sdks_is_taken(own_api: Api) -> None:
    """Every file in a part of one name, the metadata before or behind them, as a file or not."""
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


def test_code_alone_leaves_the_settings_of_the_script(own_api: Api) -> None:
    """Tags, logpush, observability and tail consumers stay unless they are named; versioned ones do not."""
    of_script = {
        "tags": ["a"], "logpush": True, "observability": {"enabled": True}, "tail_consumers": [{"service": "t"}],
    }  # fmt: skip
    own_api.upload("worker", {"main_module": "worker.js", "compatibility_date": "2026-01-01", **of_script})

    own_api.upload("worker", {"main_module": "worker.js", "logpush": False, "tags": None})

    shown = shown_script(own_api, "worker")
    assert of_script | {"logpush": False} == {name: shown[name] for name in of_script}
    assert "2021-11-02" == shown["compatibility_date"]


def test_static_assets_are_not_kept(own_api: Api) -> None:
    """An upload that brings some is refused by name: nothing is pretended. What only configures them passes."""
    fields: dict[str, Any] = {"main_module": "worker.js", "assets": {"jwt": values.planted(), "config": {}}}
    answer = own_api.upload("worker", fields)

    assert ((400, [10015]), ["/assets/jwt"]) == (answer.refusal, answer.pointers)
    assert ["Nightsafe does not keep static assets."] == answer.messages
    fields["assets"].pop("jwt")
    answer = own_api.upload("worker", fields | {"keep_assets": True})
    assert (200, False) == (answer.status, answer.result["has_assets"])


def test_migrations_go_from_tag_to_tag(own_api: Api) -> None:
    """The tag stays with the script until the next migration; one that is made for another tag is refused."""

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
    """Three scripts with tags."""
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
def test_a_list_may_be_filtered_by_tags(tagged: Api, query: str, names: list[str]) -> None:
    """Each tag must be there, or must not; by name, on one page."""
    answer = tagged.send("GET", f"{SCRIPTS}?{query}")

    assert names == [script["id"] for script in answer.result]
    assert "result_info" not in answer.envelope


@pytest.mark.parametrize("bad", ["production", "production:maybe", "a:yes,,b:no"])
def test_a_filter_is_pairs(tagged: Api, bad: str) -> None:
    """Anything else is refused rather than guessed at."""
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
def test_a_search_finds_by_name_or_tag(tagged: Api, query: str, names: list[str]) -> None:
    """By a part of the name or the whole id, in the order asked for, in pages that end."""
    answer = tagged.send("GET", f"{SEARCH}?{query}")

    assert names == [script["script_name"] for script in answer.result]
    assert len(names) == answer.envelope["result_info"]["count"]


def test_a_search_tells_which_script_it_is(tagged: Api) -> None:
    """Its id is the tag it keeps for life, by which it is found; an order that does not exist is refused."""
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
