"""Settings as the official clients read and change them, over a real store."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import BOUNDARY, JSON, Answer, Api, File, form, form_type, script_at

KEY = {
    "type": "secret_key",
    "name": "K",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
}
KEY_VALUE = {"key_base64": "AAAA"}
KV = {"name": "KV", "type": "kv_namespace", "namespace_id": "abc"}
VAR = {"name": "V", "type": "plain_text", "text": "hi"}
SECRET = {"name": "S", "type": "secret_text"}


@pytest.fixture
def worker(own_api: Api) -> Api:
    """An API with a script `w` that has a variable, a namespace, a secret and a key."""
    bindings = [VAR, KV, SECRET | {"text": "old"}, KEY | KEY_VALUE]
    metadata = {"main_module": "worker.js", "compatibility_date": "2024-01-01", "logpush": True, "bindings": bindings}
    assert own_api.upload("w", metadata).status == 200
    return own_api


def patch(api: Api, settings: object, script: str = "w") -> Answer:
    """PATCH the settings as wrangler does: one part without a type of its own."""
    head = b'Content-Disposition: form-data; name="settings"\r\nX-Nothing: x'
    body = form(File("settings", json.dumps(settings).encode(), "text/plain", head=head))
    return api.send("PATCH", f"{script_at(script)}/settings", body, [form_type()])


def settings_of(api: Api, script: str = "w") -> dict[str, Any]:
    """The settings as they are shown."""
    shown: dict[str, Any] = api.send("GET", f"{script_at(script)}/settings").result
    return shown


def bound(api: Api) -> dict[str, Any]:
    """The bindings as they are shown, by name."""
    return {one["name"]: one for one in settings_of(api)["bindings"]}


def sealed(api: Api) -> dict[str, bytes | None]:
    """The sealed records of the newest version, by name."""
    return {one.name: one.sealed for one in api.run(api.store.bindings(api.ref("w")))}


def versions(api: Api) -> list[str]:
    """What made each version, newest first."""
    return [one.triggered_by for one in api.run(api.store.versions(api.ref("w")))]


def deploy(api: Api, version: int) -> None:
    """Serve one version alone, by its number."""
    found = {one.number: one.id for one in api.run(api.store.versions(api.ref("w")))}
    body = {"strategy": "percentage", "versions": [{"version_id": found[version].hex(), "percentage": 100}]}
    assert api.json("POST", f"{script_at('w')}/deployments?force=true", body).status == 200


def test_settings_are_shown_whole(worker: Api) -> None:
    """Both levels, defaults for what nobody set, annotations, and secrets without values."""
    shown = settings_of(worker)

    assert "2024-01-01" == shown["compatibility_date"]
    assert True is shown["logpush"]
    assert ([], [], [], {}, "standard") == tuple(
        shown[name] for name in ("compatibility_flags", "tags", "tail_consumers", "placement", "usage_model")
    )
    assert {"workers/triggered_by": "upload"} == shown["annotations"]
    assert [KEY, KV, SECRET, VAR] == shown["bindings"]
    assert shown["bindings"] == worker.send("GET", f"{script_at('w')}/bindings").result


def test_bare_bindings_keep_what_is_there(worker: Api) -> None:
    """As wrangler 4.86 sends `secret bulk`: all bare but the new secret; the rest is untouched."""
    before = sealed(worker)
    bare = [{"type": one["type"], "name": one["name"]} for one in settings_of(worker)["bindings"]]

    answer = patch(worker, {"bindings": [*bare, {"type": "secret_text", "name": "A", "text": ""}]})

    assert [{"name": "A", "type": "secret_text"}, KEY, KV, SECRET, VAR] == answer.result["bindings"]
    after = sealed(worker)
    assert before == {name: after[name] for name in before}
    assert after["A"] is not None
    assert ["secret", "upload"] == versions(worker)
    assert {"workers/triggered_by": "secret"} == answer.result["annotations"]


def test_the_list_replaces_all(worker: Api) -> None:
    """What is not listed is gone, a secret too; settings that are not named stay."""
    answer = patch(worker, {"bindings": [{"type": "inherit", "name": "K"}, VAR | {"text": "other"}]})

    assert [KEY, VAR | {"text": "other"}] == answer.result["bindings"]
    assert "2024-01-01" == answer.result["compatibility_date"]
    assert ["settings", "upload"] == versions(worker)


def test_without_bindings_they_stay(worker: Api) -> None:
    """Versioned settings are merged member by member; null takes one away; the code is the same."""
    before = sealed(worker)
    etag = worker.run(worker.store.version(worker.ref("w")))

    changed = patch(worker, {"compatibility_flags": ["nodejs_compat"], "limits": {"cpu_ms": 50}, "bindings": None})
    assert ("2024-01-01", ["nodejs_compat"]) == (
        changed.result["compatibility_date"],
        changed.result["compatibility_flags"],
    )
    assert {"cpu_ms": 50} == changed.result["limits"]
    reset = patch(worker, {"limits": None, "tags": ["a"], "logpush": None})

    assert "limits" not in reset.result
    assert (["a"], False) == (reset.result["tags"], reset.result["logpush"])
    assert before == sealed(worker)
    newest = worker.run(worker.store.version(worker.ref("w")))
    assert etag is not None
    assert newest is not None
    assert etag.etag == newest.etag
    assert newest.number == worker.run(worker.store.script(worker.ref("w"))).live_version  # type: ignore[union-attr]


@pytest.mark.parametrize("settings", [{}, {"bindings": None}, {"unknown": 1, "bindings": None}, {"annotations": {}}])
def test_nothing_to_change_makes_no_version(worker: Api, settings: object) -> None:
    """An empty change answers with what there is."""
    assert settings_of(worker) == patch(worker, settings).result
    assert ["upload"] == versions(worker)


def test_all_bare_makes_no_version(worker: Api) -> None:
    """Sending back what is shown, or the names alone, changes nothing."""
    shown = settings_of(worker)["bindings"]
    secret_as_shown = [one for one in shown if one["type"] == "secret_text"]
    assert secret_as_shown

    assert 200 == patch(worker, {"bindings": shown}).status
    assert 200 == patch(worker, {"bindings": [{k: one[k] for k in ("name", "type")} for one in shown]}).status

    assert ["upload"] == versions(worker)


def test_a_key_as_shown_but_changed_needs_its_value(worker: Api) -> None:
    """Other usages cannot be given to a key that is not sent along."""
    answer = patch(worker, {"bindings": [KEY | {"usages": ["sign", "verify"]}]})

    assert (400, [10021]) == answer.refusal
    assert ["/bindings/0/key_base64"] == answer.pointers
    assert "K" in bound(worker)


@pytest.mark.parametrize("first", [{"type": "secret_text", "name": "V"}, {"type": "inherit", "name": "V"}])
def test_a_secret_takes_the_name_of_a_kept_binding(worker: Api, first: object) -> None:
    """The same name twice: the later counts, if the earlier brings no value."""
    answer = patch(worker, {"bindings": [first, {"type": "secret_text", "name": "V", "text": "now secret"}]})

    assert [{"name": "V", "type": "secret_text"}] == answer.result["bindings"]


def test_a_secret_does_not_take_a_variables_place_unasked(worker: Api) -> None:
    """The `secret bulk` of wrangler over a variable is refused as `secret put` is, with the variable's kind."""
    variable = {"type": "plain_text", "name": "V"}
    answer = patch(worker, {"bindings": [variable, {"type": "secret_text", "name": "V", "text": "now secret"}]})

    assert ((400, [10053]), ["/bindings/1"]) == (answer.refusal, answer.pointers)
    assert answer.messages[0].endswith("It is the name of a plain_text binding.")
    assert ["upload"] == versions(worker)


@pytest.mark.parametrize(
    "second", [{"type": "plain_text", "name": "N"}, {"type": "plain_text", "name": "N", "text": ""}]
)
def test_two_values_for_a_name_are_refused(worker: Api, second: object) -> None:
    """Nobody can tell which is meant; nothing is changed."""
    answer = patch(worker, {"bindings": [{"type": "secret_text", "name": "N", "text": "x"}, second]})

    assert (400, [10053]) == answer.refusal
    assert ["/bindings/1"] == answer.pointers
    assert ["upload"] == versions(worker)


def test_what_is_not_there_cannot_be_kept(worker: Api) -> None:
    """A bare secret that the script does not have is a forgotten value: refused by name, one error each."""
    answer = patch(
        worker,
        {
            "bindings": [
                {"type": "secret_text", "name": "X"},
                {"type": "inherit", "name": "Y"},
                {"type": "ai", "name": "Z"},
            ]
        },
    )

    assert (400, [10057, 10057]) == answer.refusal
    assert ["inherit binding 'X' is invalid", "inherit binding 'Y' is invalid"] == [
        message.partition(":")[0] for message in answer.messages
    ]


def test_a_kind_without_members_is_made_or_kept(worker: Api) -> None:
    """`{type: ai, name}` says all there is to say; one that is there keeps what it has beside."""
    made = patch(worker, {"bindings": [{"type": "ai", "name": "AI", "staging": True}]})
    assert [{"name": "AI", "type": "ai", "staging": True}] == made.result["bindings"]

    kept = patch(worker, {"bindings": [{"type": "ai", "name": "AI"}, {"type": "browser", "name": "B"}]})

    assert [{"name": "AI", "type": "ai", "staging": True}, {"name": "B", "type": "browser"}] == kept.result[
        "bindings"
    ]


def test_every_binding_at_fault_is_told(worker: Api) -> None:
    """One error for each, with its place and nothing of a value."""
    answer = patch(
        worker,
        {
            "bindings": [
                1,
                {"type": "nonsense", "name": "a"},
                {"type": "secret_text", "text": "hidden"},
                {"name": "b"},
            ]
        },
    )

    assert (400, [10021, 10021, 10052, 10021]) == answer.refusal
    assert ["/bindings/0", "/bindings/1/type", "/bindings/2/name", "/bindings/3/type"] == answer.pointers
    assert b"hidden" not in answer.body


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ([], ""),
        ({"bindings": {}}, "/bindings"),
        ({"compatibility_date": "yesterday"}, "/compatibility_date"),
        ({"compatibility_flags": [1]}, "/compatibility_flags"),
        ({"limits": 1}, "/limits"),
        ({"tags": ["a,b"]}, "/tags"),
        ({"annotations": 1}, "/annotations"),
        ({"annotations": {"workers/message": 1}}, "/annotations/workers~1message"),
    ],
)
def test_settings_of_the_wrong_kind(worker: Api, settings: object, pointer: str) -> None:
    """400 / 10021 with a pointer."""
    answer = patch(worker, settings)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers


def test_migrations_are_refused(worker: Api) -> None:
    """They belong to an upload."""
    assert (400, [10015]) == patch(worker, {"migrations": {"new_tag": "v1"}}).refusal


def test_too_many_bindings_and_variables(worker: Api) -> None:
    """Both limits hold here as in an upload."""
    many = [{"type": "plain_text", "name": f"V{index}", "text": ""} for index in range(1001)]

    assert (400, [10021]) == patch(worker, {"bindings": many}).refusal
    assert (400, [10055]) == patch(worker, {"bindings": many[:129]}).refusal


def test_a_change_waits_until_the_newest_version_is_served(worker: Api) -> None:
    """10214 while another version is served, for bindings, versioned settings and script settings alike."""
    patch(worker, {"compatibility_flags": ["a"]})
    deploy(worker, 1)

    changes: tuple[dict[str, object], ...] = ({"bindings": []}, {"compatibility_flags": []}, {"logpush": False})
    for settings in changes:
        assert (400, [10214]) == patch(worker, settings).refusal
    assert 200 == worker.json("PATCH", f"{script_at('w')}/script-settings", {"logpush": False}).status
    deploy(worker, 2)
    assert 200 == patch(worker, {"bindings": []}).status


def test_the_forms_that_are_refused(worker: Api) -> None:
    """No type: 10001. The TypeScript SDK's spread form: told apart. No part, two parts, no JSON: said."""
    path = f"{script_at('w')}/settings"
    spread = form(File("settings[bindings][][type]", b"inherit", as_file=False))
    part = File("settings", b"{}", "application/json", as_file=False)

    assert (400, [10001]) == worker.send("PATCH", path, b"{}").refusal
    assert (400, [10001]) == worker.send("PATCH", path, b"{}", [JSON]).refusal
    told = worker.send("PATCH", path, spread, [form_type()])
    assert (400, [10201]) == told.refusal
    assert "settings[" in told.messages[0]
    for parts in ((), (part, part), (File("settings", b"{", "application/json"),)):
        answer = worker.send("PATCH", path, form(*parts) if parts else f"--{BOUNDARY}--\r\n".encode(), [form_type()])
        assert 400 == answer.status
        assert answer.codes[0] in {10006, 10026, 10201}
    assert 200 == worker.send("PATCH", path, form(part), [form_type()]).status


def test_a_script_that_is_not_there(own_api: Api) -> None:
    """404 / 10007 on every page of settings: then, and only then, wrangler makes the Worker."""
    there = script_at("nowhere")

    assert (404, [10007]) == patch(own_api, {"bindings": []}, "nowhere").refusal
    assert (404, [10007]) == patch(own_api, {}, "nowhere").refusal
    for page in ("settings", "bindings", "script-settings", "usage-model"):
        assert (404, [10007]) == own_api.send("GET", f"{there}/{page}").refusal
    assert (404, [10007]) == own_api.json("PATCH", f"{there}/script-settings", {}).refusal
    assert (404, [10007]) == own_api.json("PATCH", f"{there}/script-settings", {"logpush": True}).refusal
    assert (404, [10007]) == own_api.json("PUT", f"{there}/usage-model", {"usage_model": "bundled"}).refusal


def test_script_settings_make_no_version(worker: Api) -> None:
    """What is named is set, null resets it, the rest stays; an empty patch answers with what there is."""
    path = f"{script_at('w')}/script-settings"
    assert {"logpush": True, "tags": [], "tail_consumers": []} == worker.send("GET", path).result

    set_ = worker.json("PATCH", path, {"observability": {"enabled": False}, "tags": ["cf:service=w"]})
    reset = worker.json("PATCH", path, {"tags": None, "logpush": None, "usage_model": "unbound"})

    assert True is set_.result["logpush"]
    expected = {"logpush": False, "tags": [], "tail_consumers": [], "observability": {"enabled": False}}
    assert expected == reset.result == worker.json("PATCH", path, {}).result == worker.send("GET", path).result
    assert ["upload"] == versions(worker)
    assert "standard" == settings_of(worker)["usage_model"]


@pytest.mark.parametrize(
    "body",
    [[], {"logpush": 1}, {"tags": "a"}, {"tags": ["x" * 1025]}, {"tail_consumers": ["w"]}, {"observability": []}],
)
def test_script_settings_of_the_wrong_kind(worker: Api, body: object) -> None:
    """400 / 10021; nothing is changed."""
    path = f"{script_at('w')}/script-settings"
    before = worker.send("GET", path).result

    assert (400, [10021]) == worker.json("PATCH", path, body).refusal
    assert before == worker.send("GET", path).result


def test_the_usage_model_has_a_page(worker: Api) -> None:
    """It is a setting of the version like others."""
    path = f"{script_at('w')}/usage-model"
    assert {"usage_model": "standard"} == worker.send("GET", path).result

    assert {"usage_model": "unbound"} == worker.json("PUT", path, {"usage_model": "unbound"}).result

    assert "unbound" == settings_of(worker)["usage_model"]
    assert (400, [10021]) == worker.json("PUT", path, {"usage_model": "free"}).refusal
    assert (400, [10021]) == worker.json("PUT", path, {}).refusal
