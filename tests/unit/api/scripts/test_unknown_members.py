"""Unknown members of requests: a misspelt known member is refused, any other is named in a notice."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import add, items, metadata, versions_of

from nightsafe.bindings.unknown_members import refuse_misspelt, unknown_member_notices
from nightsafe.errors import NightsafeError

AT = f"/client/v4/accounts/{ACCOUNT}"
WORKER = f"{AT}/workers/workers/worker"
TEXT = {"type": "secret_text", "text": "x"}
UPLOAD, VERSION = f"PUT {script_at('worker')}", f"POST {versions_of('worker')}"
SETTINGS, SCRIPT_SETTINGS = f"PATCH {script_at('worker')}/settings", f"PATCH {script_at('worker')}/script-settings"
BULK, LATEST = f"PATCH {script_at('worker')}/secrets-bulk", f"PATCH {WORKER}/versions/latest"
EDIT_WORKER, DEPLOY = f"PATCH {WORKER}", f"POST {script_at('worker')}/deployments"


@pytest.fixture
def worker(api: Api) -> Api:
    """Return an API with a worker that has only a variable and a secret."""
    bindings = [{"type": "plain_text", "name": "P", "text": "x"}, TEXT | {"name": "S"}]
    api.send("DELETE", script_at("worker"))
    assert 200 == api.upload("worker", {"main_module": "worker.js", "bindings": bindings}).status
    return api


def send(api: Api, request: str, body: dict[str, Any]) -> Answer:
    """Send a body in the form that the request needs."""
    method, path = request.split()
    if request in {UPLOAD, VERSION}:
        parts = form(metadata({"main_module": "worker.js", **body}), File("worker.js"))
        return api.send(method, path, parts, [form_type()])
    if request == SETTINGS:
        part = File("settings", json.dumps(body).encode(), "application/json", as_file=False)
        return api.send(method, path, form(part), [form_type()])
    if request == DEPLOY:
        body = {"versions": [{"version_id": items(api, "worker")[0]["id"], "percentage": 100}], **body}
    return api.send(method, path, json.dumps(body).encode(), [JSON])


def state(api: Api) -> list[Any]:
    """Return the state that a refused request must not change."""
    pages = ("settings", "script-settings", "versions", "deployments")
    return [api.send("GET", f"{script_at('worker')}/{page}").result for page in pages]


MISSPELT: list[tuple[str, dict[str, Any], str]] = [
    *((request, body, pointer) for request in (UPLOAD, VERSION) for body, pointer in (
        ({"binding": [TEXT | {"name": "A"}]}, "/binding"),
        ({"Bindings": [TEXT | {"name": "A"}]}, "/Bindings"),
        ({"bidnings": [TEXT | {"name": "A"}]}, "/bidnings"),
        ({"secrets": {"A": TEXT}}, "/secrets"),
        ({"env": {"A": TEXT}}, "/env"),
        ({"vars": {"A": "x"}}, "/vars"),
        ({"keep_binding": ["plain_text"]}, "/keep_binding"),
        ({"keepBindings": ["plain_text"]}, "/keepBindings"),
        ({"compatibility_flag": ["nodejs_compat"]}, "/compatibility_flag"),
        ({"bindings": [{"type": "service", "name": "A", "services": "b", "service": "b"}]}, "/bindings/0/services"),
        ({"bindings": [{"type": "inherit", "name": "A", "oldname": "S"}]}, "/bindings/0/oldname"),
    )),
    *((request, body, pointer) for request in (UPLOAD, VERSION, SETTINGS) for body, pointer in (
        ({"annotations": {"workers/mesage": "x"}}, "/annotations/workers~1mesage"),
        ({"limits": {"cpu_m": 50}}, "/limits/cpu_m"),
        ({"limits": {"cpuMs": 50}}, "/limits/cpuMs"),
        ({"placement": {"mod": "smart"}}, "/placement/mod"),
        ({"placement": {"mode": "targeted", "target": [{"regio": "x"}]}}, "/placement/target/0/regio"),
        ({"cache_options": {"enable": True}}, "/cache_options/enable"),
    )),
    *((request, body, pointer) for request in (UPLOAD, SETTINGS, SCRIPT_SETTINGS, EDIT_WORKER) for body, pointer in (
        ({"observability": {"enabld": True}}, "/observability/enabld"),
        ({"observability": {"enabled": True, "log": {"enabled": True}}}, "/observability/log"),
        ({"observability": {"logs": {"invocationLogs": True}}}, "/observability/logs/invocationLogs"),
        ({"observability": {"traces": {"head_sampling_rte": 1}}}, "/observability/traces/head_sampling_rte"),
        ({"observability": {"enabled": True}, "log_push": True}, "/log_push"),
    )),
    *((request, {member: [{"srvice": "a"}]}, f"/{member}/0/service")
      for request in (UPLOAD, SETTINGS, SCRIPT_SETTINGS)
      for member in ("tail_consumers", "streaming_tail_consumers")),
    (SCRIPT_SETTINGS, {"tail_consumers": [{"service": 1}]}, "/tail_consumers/0/service"),
    (SCRIPT_SETTINGS, {"tail_consumers": [{"service": "a", "enviroment": "x"}]}, "/tail_consumers/0/enviroment"),
    (EDIT_WORKER, {"tail_consumers": [{"srvice": "a"}]}, "/tail_consumers/0/name"),
    (EDIT_WORKER, {"previews_base_config": {"limits": {"cpu_m": 50}}}, "/previews_base_config/limits/cpu_m"),
    (EDIT_WORKER, {"subdomain": {"enabled": True, "preview_enabled": True}}, "/subdomain/preview_enabled"),
    (SETTINGS, {"keep_binding": ["secret_text"], "bindings": []}, "/keep_binding"),
    (BULK, {"secrets": {"A": TEXT}, "version_tag": {"a": "b"}}, "/version_tag"),
    (LATEST, {"env": {"A": TEXT}, "annotations": {"workers/tags": "x"}}, "/annotations/workers~1tags"),
    (DEPLOY, {"annotations": {"workers/mesage": "x"}}, "/annotations/workers~1mesage"),
    (DEPLOY, {"annotation": {"workers/message": "x"}}, "/annotation"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "body", "pointer"), MISSPELT)
def test_a_misspelt_member_is_refused(worker: Api, request_: str, body: dict[str, Any], pointer: str) -> None:
    """A misspelt member is refused with 400 / 10021 and a pointer, also beside known members; nothing changes."""
    before = state(worker)

    answer = send(worker, request_, body)

    assert ((400, [10021]), [pointer]) == (answer.refusal, answer.pointers)
    assert before == state(worker)


@pytest.mark.parametrize(
    ("request_", "body", "pointer"),
    [
        (UPLOAD, {"quantum": [1]}, "/quantum"),
        (VERSION, {"quantum": [1]}, "/quantum"),
        (SETTINGS, {"logpush": False, "quantum": 1}, "/quantum"),
        (SCRIPT_SETTINGS, {"logpush": False, "quantum": 1}, "/quantum"),
        (EDIT_WORKER, {"logpush": False, "quantum": 1}, "/quantum"),
        (BULK, {"secrets": {"A": TEXT}, "quantum": 1}, "/quantum"),
        *(
            (request, {"observability": {"enabled": False, "quantum": {}}}, "/observability/quantum")
            for request in (UPLOAD, SETTINGS, SCRIPT_SETTINGS, EDIT_WORKER)
        ),
        (EDIT_WORKER, {"previews_base_config": {"observability": {"quantum": 1}}},
         "/previews_base_config/observability/quantum"),
        *(
            (request, {"annotations": {"quantum/x": "y"}} | extra, "/annotations/quantum~1x")
            for request, extra in (
                (UPLOAD, {}), (VERSION, {}), (SETTINGS, {"logpush": False}), (DEPLOY, {}),
                (LATEST, {"env": {"A": TEXT}}),
            )
        ),
    ],
)  # fmt: skip
def test_an_unknown_member_is_named_in_a_notice(
    worker: Api, request_: str, body: dict[str, Any], pointer: str
) -> None:
    """The request succeeds, because the member may be new at Cloudflare, and the answer names the member."""
    answer = send(worker, request_, body)

    assert 200 == answer.status
    notices = [notice for notice in answer.envelope["messages"] if notice["source"]["pointer"] == pointer]
    assert 1 == len([notice for notice in notices if "is not a known member" in notice["message"]])


def test_every_member_that_wrangler_sends_is_known(worker: Api) -> None:
    """Every member of wrangler's upload metadata is known, apart from settings without an effect."""
    sent = {
        "capnp_schema": None,
        "code_update_strategy": {"mode": "x", "max_delay": 1},
        "compatibility_date": "2024-01-01",
        "compatibility_flags": [],
        "keep_assets": False,
        "keep_bindings": ["secret_text", "secret_key"],
        "limits": {"cpu_ms": 50},
        "package_dependencies": [{"name": "a", "packageJsonVersion": "1", "installedVersion": "1"}],
        "annotations": {"workers/message": "x", "workers/tag": "y", "workers/alias": "z"},
        "tags": ["a"],
    }
    for answer in (send(worker, UPLOAD, sent), send(worker, VERSION, sent)):
        assert (200, []) == (answer.status, answer.envelope["messages"])


def test_settings_as_shown_can_be_sent_back(worker: Api) -> None:
    """Settings that a page shows are accepted without notices of unknown members."""
    body = {"tail_consumers": [{"service": "a"}], "observability": {"enabled": False}}
    assert 200 == send(worker, SCRIPT_SETTINGS, body).status
    for request in (SETTINGS, SCRIPT_SETTINGS, EDIT_WORKER):
        read = worker.send("GET", request.split()[1]).result
        read.pop("preview_defaults", None)
        answer = send(worker, request, read)
        assert 200 == answer.status
        assert not [notice for notice in answer.envelope["messages"] if "not known" in notice["message"]]


def test_deleting_a_variable_as_a_secret_is_refused(worker: Api) -> None:
    """Reading or deleting a variable as a secret is refused with its type; deleting a missing name is accepted."""
    before = state(worker)
    read, single = (worker.send(method, f"{script_at('worker')}/secrets/P") for method in ("GET", "DELETE"))
    bulk = send(worker, BULK, {"secrets": {"P": None, "S": None, "NONE": None}})
    undeployed = send(worker, LATEST, {"env": {"P": None, "S": None}})

    assert [(404, [10056])] * 4 == [answer.refusal for answer in (read, single, bulk, undeployed)]
    for answer in (read, single, bulk, undeployed):
        assert "'P'" in answer.messages[0]
        assert answer.messages[0].endswith("It is the name of a plain_text binding.")
    assert [["/secrets/P"], ["/env/P"]] == [bulk.pointers, undeployed.pointers]
    assert before == state(worker)

    absent = worker.send("DELETE", f"{script_at('worker')}/secrets/NONE")
    assert "It is" not in absent.messages[0]
    assert 200 == send(worker, BULK, {"secrets": {"NONE": None}}).status
    assert before == state(worker)
    assert 200 == send(worker, BULK, {"secrets": {"S": None, "NONE": None}}).status


def test_the_refusal_of_a_taken_name_points_at_it(worker: Api) -> None:
    """The refusal of a taken name points at the name, in each form of secrets."""
    put = worker.put("worker", TEXT | {"name": "P"})
    bulk = send(worker, BULK, {"secrets": {"P": TEXT}})
    undeployed = send(worker, LATEST, {"env": {"P": TEXT}})

    assert [["/name"], ["/secrets/P"], ["/env/P"]] == [answer.pointers for answer in (put, bulk, undeployed)]


def test_a_name_conflict_has_the_right_article(worker: Api) -> None:
    """The refusal has the right article before the binding's type."""
    other = {"type": "secret_text", "name": "S", "text": "y"}
    for first, article_and_type in (
        ({"type": "inherit", "name": "S"}, "an inherit"),
        ({"type": "json", "name": "S", "json": 1}, "a json"),
        ({"type": "ai", "name": "S"}, "an ai"),
        ({"type": "mtls_certificate", "name": "S", "certificate_id": "x"}, "an mtls_certificate"),
    ):
        answer = add(worker, "worker", {"bindings": [first, other]})
        assert (400, [10053]) == answer.refusal
        assert answer.messages[0].endswith(f"It is the name of {article_and_type} binding.")


def test_a_deletion_limit_of_zero_is_refused_by_name(api: Api) -> None:
    """A limit of zero for the deletion of several scripts is refused by name."""
    at = f"{AT}/workers/dispatch/namespaces"
    assert 200 == api.json("POST", at, {"name": "n"}).status
    answer = api.send("DELETE", f"{at}/n/scripts?tags=a:yes&limit=0")

    assert (400, [10021]) == answer.refusal
    assert "'limit'" in answer.messages[0]
    assert 200 == api.send("DELETE", f"{at}/n/scripts?tags=a:yes&limit=9999").status


@pytest.mark.parametrize(
    ("name", "misspelt"),
    [
        ("binding", True), ("bindingss", True), ("bindnigs", True), ("bondings", True), ("BINDINGS", True),
        ("keepbindings", True), ("keep-bindings", True), ("bind", False), ("bindng", False), ("ids", False),
        ("bindings", False), ("", False), ("x" * 10_000, False),
    ],
)  # fmt: skip
def test_a_misspelling_is_a_name_close_to_a_known_one(name: str, misspelt: bool) -> None:  # noqa: FBT001 - a case
    """One wrong letter, two swapped letters or another style make a misspelling, except in a short name."""
    known = {"bindings", "keep_bindings", "id"}
    if misspelt:
        with pytest.raises(NightsafeError):
            refuse_misspelt({name: 1}, known, "")
    else:
        refuse_misspelt({name: 1}, known, "")
        assert (name not in known) == bool(unknown_member_notices({name: 1}, known, ""))


def test_at_most_20_unknown_members_are_named() -> None:
    """Only 20 unknown members are named, so that the answer and the work stay small."""
    assert 20 == len(unknown_member_notices({f"unknown{number}": 1 for number in range(50_000)}, {"known"}, ""))
    refuse_misspelt({f"unknown{number}": 1 for number in range(50_000)}, {"known"}, "")
