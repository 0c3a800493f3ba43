"""Versions: uploads that deploy nothing, lists, single versions, and what secret writes make of them."""

import uuid
from pathlib import Path

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import Api, script_at
from tests.unit.api.tools.uploads import add, items, versions_of

DEPLOY = {"strategy": "percentage"}
A_UUID = "6f1c0a52-8c2b-4a5e-9d57-0b4d7a1f2c3e"


def live(api: Api, script: str) -> str:
    """The one version that is served."""
    deployments = api.send("GET", f"{script_at(script)}/deployments").result["deployments"]
    assert [100] == [version["percentage"] for version in deployments[0]["versions"]]
    version: str = deployments[0]["versions"][0]["version_id"]
    return version


def test_a_version_is_made_and_not_served(own_api: Api) -> None:
    """It is answered whole, read back the same, listed first; what is served stays what it was."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("S")]})
    served = live(own_api, "worker")
    fields = {
        "bindings": [values.text("T"), {"name": "P", "type": "plain_text", "text": "shown"}],
        "compatibility_date": "2026-01-01",
        "compatibility_flags": ["nodejs_compat"],
        "limits": {"cpu_ms": 10},
        "placement": {"mode": "smart"},
        "annotations": {"workers/message": "why", "workers/tag": "v2"},
    }

    made = add(own_api, "worker", fields, query="?include_subdomain_availability=true&excludeScript=true").result

    assert made.pop("startup_time_ms") == 0
    assert made == own_api.send("GET", f"{versions_of('worker')}/{made['id']}").result
    assert made == items(own_api, "worker")[0]
    assert str(uuid.UUID(made["id"])) == made["id"]
    assert (made["number"], made["metadata"]["source"]) == (2, "wrangler")
    assert made["metadata"]["author_email"] == "owner@example.com"
    assert (False, False) == (made["metadata"]["hasPreview"], made["metadata"]["has_preview"])
    assert made["metadata"]["created_on"] == made["metadata"]["modified_on"]
    assert made["annotations"] == {
        "workers/message": "why", "workers/tag": "v2", "workers/triggered_by": "version_upload",
    }  # fmt: skip
    resources = made["resources"]
    assert resources["bindings"] == [
        {"name": "P", "type": "plain_text", "text": "shown"},
        {"name": "S", "type": "secret_text"},
        {"name": "T", "type": "secret_text"},
    ]
    assert resources["script_runtime"] == {
        "compatibility_date": "2026-01-01", "compatibility_flags": ["nodejs_compat"], "limits": {"cpu_ms": 10},
        "usage_model": "standard",
    }  # fmt: skip
    assert resources["script"]["handlers"] == []
    assert (resources["script"]["last_deployed_from"], resources["script"]["placement_mode"]) == ("wrangler", "smart")
    assert served == live(own_api, "worker") != made["id"]


def test_a_version_leaves_the_script_alone(own_api: Api) -> None:
    """Settings of the script, which would be in force at once, are checked and passed over."""
    own_api.upload("worker", {"main_module": "worker.js", "logpush": True, "tags": ["a"]})

    assert add(own_api, "worker", {"logpush": False, "tags": ["b"], "observability": {"enabled": True}}).status == 200
    assert (400, [10021]) == add(own_api, "worker", {"tags": "b"}).refusal

    script = own_api.send("GET", script_at("worker").rpartition("/")[0]).result[0]
    assert (True, ["a"], None) == (script["logpush"], script["tags"], script["observability"])


def test_a_version_needs_its_script(api: Api) -> None:
    """It creates none: 10007 tells wrangler to deploy first."""
    assert (404, [10007]) == add(api, "absent").refusal
    assert (404, [10007]) == api.send("GET", versions_of("absent")).refusal
    assert (404, [10007]) == api.send("GET", f"{versions_of('absent')}/{uuid.uuid4()}").refusal


def test_migrations_need_a_deployment(api: Api) -> None:
    """They would take effect at once: refused with what to do instead."""
    answer = add(api, "worker", {"migrations": {"new_tag": "v1"}})

    assert ((400, [10021]), ["/migrations"]) == (answer.refusal, answer.pointers)
    assert "PUT" in answer.messages[0]


def test_inherit_is_lenient_unless_strict(own_api: Api) -> None:
    """What cannot be inherited is dropped or, with `bindings_inherit=strict`, refused by name; no other word is."""
    own_api.upload("worker")
    fields = {"bindings": [{"name": "A", "type": "inherit"}, {"name": "B", "type": "inherit"}]}

    strict = add(own_api, "worker", fields, query="?bindings_inherit=strict")
    lenient = add(own_api, "worker", fields)

    assert (400, [10057, 10057]) == strict.refusal
    assert [message.split("'")[1] for message in strict.messages] == ["A", "B"]
    assert lenient.result["resources"]["bindings"] == []
    assert (400, [10021]) == add(own_api, "worker", query="?bindings_inherit=loose").refusal


def test_versions_are_paged_to_an_empty_page(own_api: Api) -> None:
    """Newest first, ten at a time unless asked otherwise; past the end there is nothing, and lists end there."""
    own_api.upload("worker")
    for at in range(11):
        own_api.put("worker", values.text(f"S{at}"))

    pages = [items(own_api, "worker", f"?page={page}") for page in (1, 2, 3, 1000)]

    assert [10, 2, 0, 0] == [len(page) for page in pages]
    assert [*range(12, 0, -1)] == [item["number"] for page in pages for item in page]
    assert [4, 3] == [item["number"] for item in items(own_api, "worker", "?per_page=2&page=5")]
    info = own_api.send("GET", f"{versions_of('worker')}?per_page=5&page=3").envelope["result_info"]
    assert info == {"page": 3, "per_page": 5, "count": 2, "total_count": 12, "total_pages": 3}
    for bad in ("page=0", "per_page=x"):
        assert (400, [10021]) == own_api.send("GET", f"{versions_of('worker')}?{bad}").refusal


def test_deployable_versions_come_on_one_page(own_api: Api) -> None:
    """The newest hundred, however few are asked for; the next page is the end, though there are older ones."""
    own_api.upload("worker")
    for at in range(100):
        own_api.put("worker", values.text("S", str(at)))

    listed = items(own_api, "worker", "?deployable=true&page=1&per_page=3")

    assert [*range(101, 1, -1)] == [item["number"] for item in listed]
    assert [] == items(own_api, "worker", "?deployable=true&page=2")
    assert 10 == len(items(own_api, "worker", "?deployable=false"))


def test_each_version_shows_its_own_bindings(own_api: Api) -> None:
    """Also in a list: wrangler looks there for the secrets of the newest one."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("A")]})
    own_api.put("worker", values.key("B"))
    own_api.send("DELETE", f"{script_at('worker')}/secrets/A")

    shown = [[one["name"] for one in item["resources"]["bindings"]] for item in items(own_api, "worker")]
    triggers = [item["annotations"]["workers/triggered_by"] for item in items(own_api, "worker")]

    assert ([["B"], ["A", "B"], ["A"]], ["secret", "secret", "upload"]) == (shown, triggers)


@pytest.mark.parametrize("bad", ["latest", "1", "x" * 36, "0" * 32, f"{{{A_UUID}}}", f"urn:uuid:{A_UUID}"])
def test_a_version_has_a_whole_uuid(api: Api, bad: str) -> None:
    """Anything else is 400 / 10004; in capitals it is the same."""
    answer = api.send("GET", f"{versions_of('worker')}/{bad}")

    assert ((400, [10004]), ["The parameter 'version_id' is malformed"]) == (answer.refusal, answer.messages)
    first = items(api, "worker")[0]["id"]
    assert first == api.send("GET", f"{versions_of('worker')}/{first.upper()}").result["id"]


def test_an_unknown_version_is_no_missing_script(own_api: Api) -> None:
    """404 / 100146 with its id: 10007 would make wrangler write over the Worker. So is another script's version."""
    for script in ("worker", "other"):
        own_api.upload(script)
    theirs = items(own_api, "other")[0]["id"]

    for unknown in (str(uuid.uuid4()), theirs):
        answer = own_api.send("GET", f"{versions_of('worker')}/{unknown}")
        assert ((404, [100146]), True) == (answer.refusal, unknown in answer.messages[0])


def test_secrets_are_written_over_what_is_served_only(own_api: Api) -> None:
    """While the newest version is not served, put, delete and patch are 10215; deployed, they work again."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("S")]})
    made = add(own_api, "worker").result["id"]

    refusals = [
        own_api.put("worker", values.text("T")),
        own_api.send("DELETE", f"{script_at('worker')}/secrets/S"),
        own_api.patch("worker", {"T": values.text("T")}),
    ]

    assert [(400, [10215])] * 3 == [answer.refusal for answer in refusals]
    assert ["S"] == [one["name"] for one in own_api.send("GET", f"{script_at('worker')}/secrets").result]
    body = DEPLOY | {"versions": [{"version_id": made, "percentage": 100}]}
    assert own_api.json("POST", f"{script_at('worker')}/deployments", body).status == 200
    assert own_api.put("worker", values.text("T")).status == 200
    assert 3 == items(own_api, "worker")[0]["number"]


def test_an_upload_is_never_refused_for_what_is_served(own_api: Api) -> None:
    """It says itself what is to be served, and keeps the secrets of the newest version."""
    own_api.upload("worker")
    add(own_api, "worker", {"bindings": [values.text("S")]})

    answer = own_api.upload("worker")

    assert answer.status == 200
    assert ["S"] == [one["name"] for one in own_api.send("GET", f"{script_at('worker')}/secrets").result]
    assert uuid.UUID(live(own_api, "worker")).hex == answer.result["deployment_id"]


def test_a_list_survives_a_restart(tmp_path: Path) -> None:
    """Versions are in the store: another process shows them byte for byte."""
    with Api(tmp_path) as api:
        api.upload("worker")
        add(api, "worker", {"annotations": {"workers/message": "é"}})
        before = api.send("GET", versions_of("worker")).body
        api.restart(api.limits)

        assert before == api.send("GET", versions_of("worker")).body
