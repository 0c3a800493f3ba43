"""Versions: uploads without a deployment, lists, single versions, and the versions that secret writes make."""

import uuid
from pathlib import Path

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import Api, script_at
from tests.unit.api.tools.uploads import add, items, versions_of

DEPLOY = {"strategy": "percentage"}
A_UUID = "6f1c0a52-8c2b-4a5e-9d57-0b4d7a1f2c3e"


def deployed_version(api: Api, script: str) -> str:
    """Return the only version that is deployed."""
    deployments = api.send("GET", f"{script_at(script)}/deployments").result["deployments"]
    assert [100] == [version["percentage"] for version in deployments[0]["versions"]]
    version: str = deployments[0]["versions"][0]["version_id"]
    return version


def test_a_new_version_is_not_deployed(own_api: Api) -> None:
    """The answer, the version's own page and the list agree, and the deployment does not change."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("S")]})
    deployed = deployed_version(own_api, "worker")
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
    assert deployed == deployed_version(own_api, "worker") != made["id"]


def test_a_version_does_not_change_script_settings(own_api: Api) -> None:
    """Settings of the script, which would apply at once, are checked and ignored."""
    own_api.upload("worker", {"main_module": "worker.js", "logpush": True, "tags": ["a"]})

    assert add(own_api, "worker", {"logpush": False, "tags": ["b"], "observability": {"enabled": True}}).status == 200
    assert (400, [10021]) == add(own_api, "worker", {"tags": "b"}).refusal

    script = own_api.send("GET", script_at("worker").rpartition("/")[0]).result[0]
    assert (True, ["a"], None) == (script["logpush"], script["tags"], script["observability"])


def test_a_version_needs_its_script(api: Api) -> None:
    """A version cannot make its script: the refusal 10007 tells wrangler to deploy first."""
    assert (404, [10007]) == add(api, "absent").refusal
    assert (404, [10007]) == api.send("GET", versions_of("absent")).refusal
    assert (404, [10007]) == api.send("GET", f"{versions_of('absent')}/{uuid.uuid4()}").refusal


def test_a_version_with_migrations_is_refused(api: Api) -> None:
    """A version with migrations is refused with advice to deploy, because they would apply at once."""
    answer = add(api, "worker", {"migrations": {"new_tag": "v1"}})

    assert ((400, [10021]), ["/migrations"]) == (answer.refusal, answer.pointers)
    assert "PUT" in answer.messages[0]


def test_a_missing_inherit_binding_is_refused_if_strict(own_api: Api) -> None:
    """A binding that cannot be inherited is dropped, or refused by name with `bindings_inherit=strict`."""
    own_api.upload("worker")
    fields = {"bindings": [{"name": "A", "type": "inherit"}, {"name": "B", "type": "inherit"}]}

    strict = add(own_api, "worker", fields, query="?bindings_inherit=strict")
    lenient = add(own_api, "worker", fields)

    assert (400, [10057, 10057]) == strict.refusal
    assert [message.split("'")[1] for message in strict.messages] == ["A", "B"]
    assert lenient.result["resources"]["bindings"] == []
    assert (400, [10021]) == add(own_api, "worker", query="?bindings_inherit=loose").refusal


def test_versions_are_listed_in_pages(own_api: Api) -> None:
    """Versions are listed newest first and ten a page by default; pages past the end are empty."""
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


def test_deployable_versions_are_on_one_page(own_api: Api) -> None:
    """The newest hundred versions are on the first page of any size; the second page is empty."""
    own_api.upload("worker")
    for at in range(100):
        own_api.put("worker", values.text("S", str(at)))

    listed = items(own_api, "worker", "?deployable=true&page=1&per_page=3")

    assert [*range(101, 1, -1)] == [item["number"] for item in listed]
    assert [] == items(own_api, "worker", "?deployable=true&page=2")
    assert 10 == len(items(own_api, "worker", "?deployable=false"))


def test_each_version_shows_its_own_bindings(own_api: Api) -> None:
    """Each version shows its own bindings, also in a list, where wrangler looks for the newest secrets."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("A")]})
    own_api.put("worker", values.key("B"))
    own_api.send("DELETE", f"{script_at('worker')}/secrets/A")

    shown = [[binding["name"] for binding in item["resources"]["bindings"]] for item in items(own_api, "worker")]
    triggers = [item["annotations"]["workers/triggered_by"] for item in items(own_api, "worker")]

    assert ([["B"], ["A", "B"], ["A"]], ["secret", "secret", "upload"]) == (shown, triggers)


@pytest.mark.parametrize("bad", ["latest", "1", "x" * 36, "0" * 32, f"{{{A_UUID}}}", f"urn:uuid:{A_UUID}"])
def test_a_malformed_version_id_is_refused(api: Api, bad: str) -> None:
    """A version ID other than a whole UUID is refused with 400 / 10004; capitals are accepted."""
    answer = api.send("GET", f"{versions_of('worker')}/{bad}")

    assert ((400, [10004]), ["The parameter 'version_id' is malformed"]) == (answer.refusal, answer.messages)
    first = items(api, "worker")[0]["id"]
    assert first == api.send("GET", f"{versions_of('worker')}/{first.upper()}").result["id"]


def test_an_unknown_version_gets_100146(own_api: Api) -> None:
    """An unknown version, or another script's, gets 404 / 100146.

    With 10007 wrangler would overwrite the Worker.
    """
    for script in ("worker", "other"):
        own_api.upload(script)
    theirs = items(own_api, "other")[0]["id"]

    for unknown in (str(uuid.uuid4()), theirs):
        answer = own_api.send("GET", f"{versions_of('worker')}/{unknown}")
        assert ((404, [100146]), True) == (answer.refusal, unknown in answer.messages[0])


def test_secret_writes_need_the_newest_version_deployed(own_api: Api) -> None:
    """Secret writes are refused with 10215 while the newest version is not deployed."""
    own_api.upload("worker", {"main_module": "worker.js", "bindings": [values.text("S")]})
    made = add(own_api, "worker").result["id"]

    refusals = [
        own_api.put("worker", values.text("T")),
        own_api.send("DELETE", f"{script_at('worker')}/secrets/S"),
        own_api.patch("worker", {"T": values.text("T")}),
    ]

    assert [(400, [10215])] * 3 == [answer.refusal for answer in refusals]
    assert ["S"] == [secret["name"] for secret in own_api.send("GET", f"{script_at('worker')}/secrets").result]
    body = DEPLOY | {"versions": [{"version_id": made, "percentage": 100}]}
    assert own_api.json("POST", f"{script_at('worker')}/deployments", body).status == 200
    assert own_api.put("worker", values.text("T")).status == 200
    assert 3 == items(own_api, "worker")[0]["number"]


def test_an_upload_succeeds_over_an_undeployed_version(own_api: Api) -> None:
    """An upload succeeds while the newest version is not deployed, and keeps that version's secrets."""
    own_api.upload("worker")
    add(own_api, "worker", {"bindings": [values.text("S")]})

    answer = own_api.upload("worker")

    assert answer.status == 200
    assert ["S"] == [secret["name"] for secret in own_api.send("GET", f"{script_at('worker')}/secrets").result]
    assert uuid.UUID(deployed_version(own_api, "worker")).hex == answer.result["deployment_id"]


def test_versions_survive_a_restart(tmp_path: Path) -> None:
    """After a restart, the list of versions is the same byte for byte."""
    with Api(tmp_path) as api:
        api.upload("worker")
        add(api, "worker", {"annotations": {"workers/message": "é"}})
        before = api.send("GET", versions_of("worker")).body
        api.restart(api.limits)

        assert before == api.send("GET", versions_of("worker")).body
