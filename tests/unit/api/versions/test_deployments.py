"""Deployments as the official clients list and make them, over a real store."""

import json
import uuid
from typing import Any

import pytest
from tests.unit.api.tools.driver import Answer, Api, script_at

AT = f"{script_at('w')}/deployments"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """An API with a script `w` of four versions: an upload, a setting of two secrets, and a new upload."""
    assert own_api.upload("w").status == 200
    for name, text in (("A", "1"), ("B", "2")):
        assert own_api.put("w", {"type": "secret_text", "name": name, "text": text}).status == 200
    assert own_api.upload("w").status == 200
    return own_api


def version_ids(api: Api) -> list[str]:
    """The UUIDs of every version, oldest first."""
    return [str(uuid.UUID(bytes=one.id)) for one in reversed(api.run(api.store.versions(api.ref("w"))))]


def deploy(api: Api, *shares: tuple[object, object], query: str = "", **members: object) -> Answer:
    """POST a deployment."""
    versions = [{"version_id": version_id, "percentage": percentage} for version_id, percentage in shares]
    return api.json("POST", AT + query, {"strategy": "percentage", "versions": versions, **members})


def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    """The deployments of a page."""
    result = api.send("GET", AT + query).result
    assert ["deployments", "items"] == list(result)
    assert result["deployments"] == result["items"]
    deployments: list[dict[str, Any]] = result["items"]
    return deployments


def test_each_version_that_was_served_is_listed(worker: Api) -> None:
    """Newest first, with all that wrangler and the SDKs read."""
    ids = version_ids(worker)
    every = listed(worker)

    assert [[{"version_id": one, "percentage": 100}] for one in reversed(ids)] == [one["versions"] for one in every]
    triggers = [one["annotations"]["workers/triggered_by"] for one in every]
    assert ["upload", "secret", "secret", "upload"] == triggers
    assert {"api"} == {one["source"] for one in every}
    assert {"owner@example.com"} == {one["author_email"] for one in every}
    assert {"percentage"} == {one["strategy"] for one in every}
    assert sorted((one["created_on"] for one in every), reverse=True) == [one["created_on"] for one in every]


def test_pages_end_in_an_empty_one(worker: Api) -> None:
    """Ten by default; a page past the end is empty, for the SDKs ask until one is."""
    for _ in range(8):
        worker.upload("w")

    assert [10, 2, 0] == [len(listed(worker, f"?page={page}")) for page in (1, 2, 3)]
    assert [5, 5, 2, 0] == [len(listed(worker, f"?per_page=5&page={page}")) for page in (1, 2, 3, 4)]
    info = json.loads(worker.send("GET", f"{AT}?per_page=5&page=3").body)["result_info"]
    assert {"page": 3, "per_page": 5, "count": 2, "total_count": 12, "total_pages": 3} == info
    assert (400, [10021]) == worker.send("GET", f"{AT}?page=0").refusal


def test_a_list_of_a_period(worker: Api) -> None:
    """Both bounds are within it."""
    every = listed(worker)
    middle = every[1:3]
    bounds = f"?since={middle[-1]['created_on']}&until={middle[0]['created_on']}"

    assert middle == listed(worker, bounds)
    assert middle[1:] == listed(worker, f"{bounds}&per_page=1&page=2")
    assert every == listed(worker, f"?until={every[0]['created_on']}")
    assert [] == listed(worker, "?since=2999-01-01T00:00:00Z")
    assert (400, [10021]) == worker.send("GET", f"{AT}?since=yesterday").refusal


def test_versions_are_deployed(worker: Api) -> None:
    """One, then two that share the traffic; the message stays, what only the server says does not."""
    *_, third, fourth = version_ids(worker)

    split = deploy(worker, (third, 12.5), (fourth, 87.5), annotations={"workers/message": "slowly"}).result
    assert [{"version_id": third, "percentage": 12.5}, {"version_id": fourth, "percentage": 87.5}] == split[
        "versions"
    ]
    assert {"workers/message": "slowly", "workers/triggered_by": "deployment"} == split["annotations"]
    whole = deploy(
        worker,
        (fourth.upper(), 100),
        annotations={"workers/triggered_by": "rollback"},
        code_update_strategy={"mode": "deferred", "max_delay": 300},
    ).result

    assert [{"version_id": fourth, "percentage": 100}] == whole["versions"]
    assert {"workers/triggered_by": "deployment"} == whole["annotations"]
    assert [whole, split] == listed(worker)[:2]
    assert whole == worker.send("GET", f"{AT}/{whole['id']}").result


def test_a_version_without_traffic_is_deployed(worker: Api) -> None:
    """As one is before anybody is sent to it: 0 % beside 100 %. Nothing is then served alone."""
    *_, third, fourth = version_ids(worker)

    made = deploy(worker, (fourth, 100), (third, 0)).result

    assert [100, 0] == [one["percentage"] for one in made["versions"]]
    assert made == listed(worker)[0]
    assert (400, [10215]) == worker.put("w", {"type": "secret_text", "name": "C", "text": "3"}).refusal


def test_going_back_is_a_rollback(worker: Api) -> None:
    """The secrets are the same: no force is needed."""
    *_, third, _ = version_ids(worker)

    assert "rollback" == deploy(worker, (third, 100)).result["annotations"]["workers/triggered_by"]


def test_going_back_over_changed_secrets_needs_force(worker: Api) -> None:
    """10220 with the names as wrangler takes them apart: by comma and space."""
    first, *_ = version_ids(worker)
    before = listed(worker)

    answer = deploy(worker, (first, 100))
    assert (400, [10220]) == answer.refusal
    assert "A, B" == answer.messages[0].partition("The following secrets have changed: ")[2]
    assert (400, [10220]) == deploy(worker, (first, 100), query="?force=false").refusal
    assert before == listed(worker)

    assert 200 == deploy(worker, (first, 100), query="?force=true").status
    assert [{"version_id": first, "percentage": 100}] == listed(worker)[0]["versions"]
    assert (400, [10215]) == worker.put("w", {"type": "secret_text", "name": "C", "text": "3"}).refusal


@pytest.mark.parametrize(
    ("shares", "pointer"),
    [
        ((), "/versions"),
        (((0, 40), (1, 40), (2, 20)), "/versions"),
        (((0, 99.99),), "/versions"),
        (((0, 60), (1, 60)), "/versions"),
        (((0, 50), (0, 50)), "/versions/1/version_id"),
        (((0, 0),), "/versions"),
        (((0, 0), (1, 0)), "/versions"),
        (((0, 100.5),), "/versions/0/percentage"),
        (((0, -1),), "/versions/0/percentage"),
        (((0, True),), "/versions/0/percentage"),
        (((0, "100"),), "/versions/0/percentage"),
        (((0, None),), "/versions/0/percentage"),
        ((("latest", 100),), "/versions/0/version_id"),
        ((("0" * 31, 100),), "/versions/0/version_id"),
        ((("{" + "0" * 32 + "}", 100),), "/versions/0/version_id"),
        ((("f" * 32, 100),), "/versions"),
    ],
)
def test_a_deployment_that_cannot_be(worker: Api, shares: tuple[tuple[Any, Any], ...], pointer: str) -> None:
    """400 / 10210 with a pointer; what is served stays."""
    ids, before = version_ids(worker), listed(worker)
    meant = [(ids[one] if isinstance(one, int) else one, percentage) for one, percentage in shares]

    answer = deploy(worker, *meant)

    assert (400, [10210]) == answer.refusal
    assert [pointer] == answer.pointers
    assert before == listed(worker)


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ([], 10021, ""),
        ({}, 10021, "/versions"),
        ({"strategy": "canary", "versions": []}, 10210, "/strategy"),
        ({"strategy": 1, "versions": []}, 10021, "/strategy"),
        ({"versions": [1]}, 10021, "/versions/0"),
        ({"versions": [{"percentage": 100}]}, 10021, "/versions/0/version_id"),
        ({"versions": [{"version_id": "0" * 32, "percentage": 100}], "annotations": 1}, 10021, "/annotations"),
    ],
)
def test_a_body_that_is_no_deployment(worker: Api, body: object, code: int, pointer: str) -> None:
    """400 with a pointer."""
    answer = worker.json("POST", AT, body)

    assert (400, [code]) == answer.refusal
    assert [pointer] == answer.pointers


def test_deployments_stay_on_record(worker: Api) -> None:
    """What is served cannot be deleted, nor can what was; neither is one that there is not."""
    served, earlier, *_ = listed(worker)

    assert (400, [10210]) == worker.send("DELETE", f"{AT}/{served['id']}").refusal
    refusal = worker.send("DELETE", f"{AT}/{earlier['id']}")
    assert (400, [10015]) == refusal.refusal
    assert "delete deployments" in refusal.messages[0]
    for method in ("GET", "DELETE"):
        assert (404, [10336]) == worker.send(method, f"{AT}/{uuid.UUID(int=0)}").refusal
        assert (404, [10336]) == worker.send(method, f"{AT}/nonsense").refusal
    assert [served, earlier] == listed(worker)[:2]


def test_a_script_that_is_not_there(own_api: Api) -> None:
    """404 / 10007."""
    body = {"strategy": "percentage", "versions": [{"version_id": "0" * 32, "percentage": 100}]}

    assert (404, [10007]) == own_api.send("GET", AT).refusal
    assert (404, [10007]) == own_api.json("POST", AT, body).refusal
    assert (404, [10007]) == own_api.send("GET", f"{AT}/{uuid.UUID(int=0)}").refusal
    assert (404, [10007]) == own_api.send("DELETE", f"{AT}/{uuid.UUID(int=0)}").refusal


def test_the_log_tells_what_was_deployed(worker: Api) -> None:
    """The versions stand in the audit entry: the deployment itself goes with the script."""
    *_, third, fourth = version_ids(worker)
    made = deploy(worker, (third, 50), (fourth, 50)).result

    *_, (_, last) = worker.run(worker.store.audit_entries(worker.ref("w").account_id, limit=1000))
    event = json.loads(last.entry)
    assert ("deployments.create", "w") == (event["action"], event["script"])
    assert uuid.UUID(made["id"]).hex == event["resource"]
    assert [uuid.UUID(one).hex for one in (third, fourth)] == event["version_id"].split(",")
