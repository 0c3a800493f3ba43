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
    """Return an API with a script `w` that has a variable, a KV namespace, a secret and a key."""
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
    """Return the settings as they are shown."""
    shown: dict[str, Any] = api.send("GET", f"{script_at(script)}/settings").result
    return shown


def bindings_by_name(api: Api) -> dict[str, Any]:
    """Return the bindings as they are shown, by name."""
    return {binding["name"]: binding for binding in settings_of(api)["bindings"]}


def sealed(api: Api) -> dict[str, bytes | None]:
    """Return the sealed records of the newest version, by name."""
    return {binding.name: binding.sealed for binding in api.run(api.store.bindings(api.ref("w")))}


def versions(api: Api) -> list[str]:
    """Return the trigger of each version, newest first."""
    return [version.triggered_by for version in api.run(api.store.versions(api.ref("w")))]


def deploy(api: Api, version: int) -> None:
    """Deploy one version alone, by its number."""
    found = {stored.number: stored.id for stored in api.run(api.store.versions(api.ref("w")))}
    body = {"strategy": "percentage", "versions": [{"version_id": found[version].hex(), "percentage": 100}]}
    assert api.json("POST", f"{script_at('w')}/deployments?force=true", body).status == 200


def test_settings_show_every_member(worker: Api) -> None:
    """Settings show both levels, defaults, annotations, and secrets without their values."""
    shown = settings_of(worker)

    assert "2024-01-01" == shown["compatibility_date"]
    assert True is shown["logpush"]
    assert ([], [], [], {}, "standard") == tuple(
        shown[name] for name in ("compatibility_flags", "tags", "tail_consumers", "placement", "usage_model")
    )
    assert {"workers/triggered_by": "upload"} == shown["annotations"]
    assert [KEY, KV, SECRET, VAR] == shown["bindings"]
    assert shown["bindings"] == worker.send("GET", f"{script_at('w')}/bindings").result


def test_bindings_without_values_stay_unchanged(worker: Api) -> None:
    """Bindings without values stay unchanged; wrangler 4.86 sends them with the new ones for `secret bulk`."""
    before = sealed(worker)
    bare = [{"type": binding["type"], "name": binding["name"]} for binding in settings_of(worker)["bindings"]]

    answer = patch(worker, {"bindings": [*bare, {"type": "secret_text", "name": "A", "text": ""}]})

    assert [{"name": "A", "type": "secret_text"}, KEY, KV, SECRET, VAR] == answer.result["bindings"]
    after = sealed(worker)
    assert before == {name: after[name] for name in before}
    assert after["A"] is not None
    assert ["secret", "upload"] == versions(worker)
    assert {"workers/triggered_by": "secret"} == answer.result["annotations"]


def test_the_list_of_bindings_replaces_all_bindings(worker: Api) -> None:
    """A binding that is not listed is removed, also a secret; settings that are not sent stay."""
    answer = patch(worker, {"bindings": [{"type": "inherit", "name": "K"}, VAR | {"text": "other"}]})

    assert [KEY, VAR | {"text": "other"}] == answer.result["bindings"]
    assert "2024-01-01" == answer.result["compatibility_date"]
    assert ["settings", "upload"] == versions(worker)


def test_settings_without_bindings_leave_the_bindings(worker: Api) -> None:
    """Without `bindings`, all bindings and the code stay; settings are merged and null removes a setting."""
    before = sealed(worker)
    oldest = worker.run(worker.store.version(worker.ref("w")))

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
    assert oldest is not None
    assert newest is not None
    assert oldest.etag == newest.etag
    assert newest.number == worker.run(worker.store.script(worker.ref("w"))).live_version  # type: ignore[union-attr]


@pytest.mark.parametrize("settings", [{}, {"bindings": None}, {"unknown": 1, "bindings": None}, {"annotations": {}}])
def test_an_empty_change_makes_no_version(worker: Api, settings: object) -> None:
    """A patch that changes nothing returns the current settings."""
    assert settings_of(worker) == patch(worker, settings).result
    assert ["upload"] == versions(worker)


def test_bindings_sent_back_as_shown_make_no_version(worker: Api) -> None:
    """Bindings that are sent back as shown, or without values, make no version."""
    shown = settings_of(worker)["bindings"]
    assert "secret_text" in {binding["type"] for binding in shown}

    assert 200 == patch(worker, {"bindings": shown}).status
    assert (
        200
        == patch(worker, {"bindings": [{key: binding[key] for key in ("name", "type")} for binding in shown]}).status
    )

    assert ["upload"] == versions(worker)


def test_a_changed_key_needs_its_value(worker: Api) -> None:
    """A key whose usages change needs its value."""
    answer = patch(worker, {"bindings": [KEY | {"usages": ["sign", "verify"]}]})

    assert (400, [10021]) == answer.refusal
    assert ["/bindings/0/key_base64"] == answer.pointers
    assert "K" in bindings_by_name(worker)


@pytest.mark.parametrize("first", [{"type": "secret_text", "name": "V"}, {"type": "inherit", "name": "V"}])
def test_a_secret_replaces_a_kept_binding_of_its_name(worker: Api, first: object) -> None:
    """Of two bindings with one name the later one counts, if the earlier one has no value."""
    answer = patch(worker, {"bindings": [first, {"type": "secret_text", "name": "V", "text": "now secret"}]})

    assert [{"name": "V", "type": "secret_text"}] == answer.result["bindings"]


def test_a_secret_over_a_variable_is_refused(worker: Api) -> None:
    """`wrangler secret bulk` over a variable is refused like `secret put`, with the variable's type."""
    variable = {"type": "plain_text", "name": "V"}
    answer = patch(worker, {"bindings": [variable, {"type": "secret_text", "name": "V", "text": "now secret"}]})

    assert ((400, [10053]), ["/bindings/1"]) == (answer.refusal, answer.pointers)
    assert answer.messages[0].endswith("It is the name of a plain_text binding.")
    assert ["upload"] == versions(worker)


@pytest.mark.parametrize(
    "second", [{"type": "plain_text", "name": "N"}, {"type": "plain_text", "name": "N", "text": ""}]
)
def test_two_values_for_a_name_are_refused(worker: Api, second: object) -> None:
    """Two values for one name are refused, and nothing changes."""
    answer = patch(worker, {"bindings": [{"type": "secret_text", "name": "N", "text": "x"}, second]})

    assert (400, [10053]) == answer.refusal
    assert ["/bindings/1"] == answer.pointers
    assert ["upload"] == versions(worker)


def test_keeping_a_missing_binding_is_refused(worker: Api) -> None:
    """Bindings to keep that do not exist are refused, one error each."""
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


def test_a_binding_without_members_is_made_or_kept(worker: Api) -> None:
    """A binding that needs no members is made; an existing one keeps its members."""
    made = patch(worker, {"bindings": [{"type": "ai", "name": "AI", "staging": True}]})
    assert [{"name": "AI", "type": "ai", "staging": True}] == made.result["bindings"]

    kept = patch(worker, {"bindings": [{"type": "ai", "name": "AI"}, {"type": "browser", "name": "B"}]})

    assert [{"name": "AI", "type": "ai", "staging": True}, {"name": "B", "type": "browser"}] == kept.result[
        "bindings"
    ]


def test_each_bad_binding_gets_an_error(worker: Api) -> None:
    """Each bad binding gets an error with a pointer and none of its value."""
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
def test_settings_of_the_wrong_type_are_refused(worker: Api, settings: object, pointer: str) -> None:
    """The refusal is 400 / 10021 with a pointer."""
    answer = patch(worker, settings)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers


def test_migrations_are_refused(worker: Api) -> None:
    """Migrations are refused, because they belong to an upload."""
    assert (400, [10015]) == patch(worker, {"migrations": {"new_tag": "v1"}}).refusal


def test_too_many_bindings_or_variables_are_refused(worker: Api) -> None:
    """The limits of bindings and of variables are the same as for an upload."""
    many = [{"type": "plain_text", "name": f"V{index}", "text": ""} for index in range(1001)]

    assert (400, [10021]) == patch(worker, {"bindings": many}).refusal
    assert (400, [10055]) == patch(worker, {"bindings": many[:129]}).refusal


def test_a_change_needs_the_newest_version_deployed(worker: Api) -> None:
    """While the newest version is not deployed, a change is refused with 10214."""
    patch(worker, {"compatibility_flags": ["a"]})
    deploy(worker, 1)

    changes: tuple[dict[str, object], ...] = ({"bindings": []}, {"compatibility_flags": []}, {"logpush": False})
    for settings in changes:
        assert (400, [10214]) == patch(worker, settings).refusal
    assert 200 == worker.json("PATCH", f"{script_at('w')}/script-settings", {"logpush": False}).status
    deploy(worker, 2)
    assert 200 == patch(worker, {"bindings": []}).status


def test_a_body_without_one_settings_part_is_refused(worker: Api) -> None:
    """A body that is not a form with one valid part `settings` is refused.

    The refusal of the TypeScript SDK's form names the parts that it has instead.
    """
    path = f"{script_at('w')}/settings"
    spread = form(File("settings[bindings][][type]", b"inherit", as_file=False))
    part = File("settings", b"{}", "application/json", as_file=False)

    assert (400, [10001]) == worker.send("PATCH", path, b"{}").refusal
    assert (400, [10001]) == worker.send("PATCH", path, b"{}", [JSON]).refusal
    refused = worker.send("PATCH", path, spread, [form_type()])
    assert (400, [10201]) == refused.refusal
    assert "settings[" in refused.messages[0]
    for parts in ((), (part, part), (File("settings", b"{", "application/json"),)):
        answer = worker.send("PATCH", path, form(*parts) if parts else f"--{BOUNDARY}--\r\n".encode(), [form_type()])
        assert 400 == answer.status
        assert answer.codes[0] in {10006, 10026, 10201}
    assert 200 == worker.send("PATCH", path, form(part), [form_type()]).status


def test_settings_of_a_missing_script_get_404(own_api: Api) -> None:
    """Every settings page of a missing script gets 404 / 10007; only at this code does wrangler make the Worker."""
    missing = script_at("nowhere")

    assert (404, [10007]) == patch(own_api, {"bindings": []}, "nowhere").refusal
    assert (404, [10007]) == patch(own_api, {}, "nowhere").refusal
    for page in ("settings", "bindings", "script-settings", "usage-model"):
        assert (404, [10007]) == own_api.send("GET", f"{missing}/{page}").refusal
    assert (404, [10007]) == own_api.json("PATCH", f"{missing}/script-settings", {}).refusal
    assert (404, [10007]) == own_api.json("PATCH", f"{missing}/script-settings", {"logpush": True}).refusal
    assert (404, [10007]) == own_api.json("PUT", f"{missing}/usage-model", {"usage_model": "bundled"}).refusal


def test_script_settings_make_no_version(worker: Api) -> None:
    """A member that is sent is set, null resets it, and the rest stays; no version is made."""
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
def test_script_settings_of_the_wrong_type_are_refused(worker: Api, body: object) -> None:
    """The refusal is 400 / 10021, and nothing changes."""
    path = f"{script_at('w')}/script-settings"
    before = worker.send("GET", path).result

    assert (400, [10021]) == worker.json("PATCH", path, body).refusal
    assert before == worker.send("GET", path).result


def test_the_usage_model_has_a_page(worker: Api) -> None:
    """The usage model has a page of its own and is a setting of the version."""
    path = f"{script_at('w')}/usage-model"
    assert {"usage_model": "standard"} == worker.send("GET", path).result

    assert {"usage_model": "unbound"} == worker.json("PUT", path, {"usage_model": "unbound"}).result

    assert "unbound" == settings_of(worker)["usage_model"]
    assert (400, [10021]) == worker.json("PUT", path, {"usage_model": "free"}).refusal
    assert (400, [10021]) == worker.json("PUT", path, {}).refusal
