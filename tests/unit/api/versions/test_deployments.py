"""Deployments as the official clients list and make them, over a real store."""

import json
import uuid
from typing import Any

import pytest
from tests.unit.api.tools.driver import Answer, Api, script_at

AT = f"{script_at('w')}/deployments"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with a script `w` of four versions: an upload, two secrets and another upload."""
    assert own_api.upload("w").status == 200
    for name, text in (("A", "1"), ("B", "2")):
        assert own_api.put("w", {"type": "secret_text", "name": name, "text": text}).status == 200
    assert own_api.upload("w").status == 200
    return own_api


def version_ids(api: Api) -> list[str]:
    """Return the UUIDs of every version, oldest first."""
    return [str(uuid.UUID(bytes=version.id)) for version in reversed(api.run(api.store.versions(api.ref("w"))))]


def deploy(api: Api, *shares: tuple[object, object], query: str = "", **members: object) -> Answer:
    """POST a deployment."""
    versions = [{"version_id": version_id, "percentage": percentage} for version_id, percentage in shares]
    return api.json("POST", AT + query, {"strategy": "percentage", "versions": versions, **members})


def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    """Return the deployments of a page."""
    result = api.send("GET", AT + query).result
    assert ["deployments", "items"] == list(result)
    assert result["deployments"] == result["items"]
    deployments: list[dict[str, Any]] = result["items"]
    return deployments


def test_each_deployment_is_listed(worker: Api) -> None:
    """Deployments are listed newest first, with all members that wrangler and the SDKs read."""
    ids = version_ids(worker)
    deployments = listed(worker)

    expected = [[{"version_id": version, "percentage": 100}] for version in reversed(ids)]
    assert expected == [deployment["versions"] for deployment in deployments]
    triggers = [deployment["annotations"]["workers/triggered_by"] for deployment in deployments]
    assert ["upload", "secret", "secret", "upload"] == triggers
    assert {"api"} == {deployment["source"] for deployment in deployments}
    assert {"owner@example.com"} == {deployment["author_email"] for deployment in deployments}
    assert {"percentage"} == {deployment["strategy"] for deployment in deployments}
    times = [deployment["created_on"] for deployment in deployments]
    assert sorted(times, reverse=True) == times


def test_deployments_are_listed_in_pages(worker: Api) -> None:
    """A page has ten deployments by default; a page past the end is empty, where the SDKs stop."""
    for _ in range(8):
        worker.upload("w")

    assert [10, 2, 0] == [len(listed(worker, f"?page={page}")) for page in (1, 2, 3)]
    assert [5, 5, 2, 0] == [len(listed(worker, f"?per_page=5&page={page}")) for page in (1, 2, 3, 4)]
    info = json.loads(worker.send("GET", f"{AT}?per_page=5&page=3").body)["result_info"]
    assert {"page": 3, "per_page": 5, "count": 2, "total_count": 12, "total_pages": 3} == info
    assert (400, [10021]) == worker.send("GET", f"{AT}?page=0").refusal


def test_deployments_can_be_listed_by_period(worker: Api) -> None:
    """A list may be limited to a period, which includes both bounds."""
    deployments = listed(worker)
    middle = deployments[1:3]
    bounds = f"?since={middle[-1]['created_on']}&until={middle[0]['created_on']}"

    assert middle == listed(worker, bounds)
    assert middle[1:] == listed(worker, f"{bounds}&per_page=1&page=2")
    assert deployments == listed(worker, f"?until={deployments[0]['created_on']}")
    assert [] == listed(worker, "?since=2999-01-01T00:00:00Z")
    assert (400, [10021]) == worker.send("GET", f"{AT}?since=yesterday").refusal


def test_versions_are_deployed(worker: Api) -> None:
    """One version or two can be deployed; the client's message is kept, and its trigger is not."""
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
    """A version may be deployed at 0 % beside one at 100 %, and then no version is deployed alone."""
    *_, third, fourth = version_ids(worker)

    made = deploy(worker, (fourth, 100), (third, 0)).result

    assert [100, 0] == [version["percentage"] for version in made["versions"]]
    assert made == listed(worker)[0]
    assert (400, [10215]) == worker.put("w", {"type": "secret_text", "name": "C", "text": "3"}).refusal


def test_deploying_an_older_version_is_a_rollback(worker: Api) -> None:
    """Deploying an older version with the same secrets is a rollback and needs no force."""
    *_, third, _ = version_ids(worker)

    assert "rollback" == deploy(worker, (third, 100)).result["annotations"]["workers/triggered_by"]


def test_a_rollback_over_changed_secrets_needs_force(worker: Api) -> None:
    """A refused rollback lists the changed secrets with a comma and a space between them, as wrangler expects."""
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
def test_an_impossible_deployment_is_refused(worker: Api, shares: tuple[tuple[Any, Any], ...], pointer: str) -> None:
    """The refusal is 400 / 10210 with a pointer, and the deployments stay."""
    ids, before = version_ids(worker), listed(worker)
    sent = [(ids[version] if isinstance(version, int) else version, share) for version, share in shares]

    answer = deploy(worker, *sent)

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
def test_a_body_other_than_a_deployment_is_refused(worker: Api, body: object, code: int, pointer: str) -> None:
    """The refusal is 400 with a pointer."""
    answer = worker.json("POST", AT, body)

    assert (400, [code]) == answer.refusal
    assert [pointer] == answer.pointers


def test_deployments_cannot_be_deleted(worker: Api) -> None:
    """The current deployment, an earlier one and a missing one cannot be deleted."""
    served, earlier, *_ = listed(worker)

    assert (400, [10210]) == worker.send("DELETE", f"{AT}/{served['id']}").refusal
    refusal = worker.send("DELETE", f"{AT}/{earlier['id']}")
    assert (400, [10015]) == refusal.refusal
    assert "delete deployments" in refusal.messages[0]
    for method in ("GET", "DELETE"):
        assert (404, [10336]) == worker.send(method, f"{AT}/{uuid.UUID(int=0)}").refusal
        assert (404, [10336]) == worker.send(method, f"{AT}/nonsense").refusal
    assert [served, earlier] == listed(worker)[:2]


def test_deployments_of_a_missing_script_get_404(own_api: Api) -> None:
    """Every page of deployments of a missing script gets 404 / 10007."""
    body = {"strategy": "percentage", "versions": [{"version_id": "0" * 32, "percentage": 100}]}

    assert (404, [10007]) == own_api.send("GET", AT).refusal
    assert (404, [10007]) == own_api.json("POST", AT, body).refusal
    assert (404, [10007]) == own_api.send("GET", f"{AT}/{uuid.UUID(int=0)}").refusal
    assert (404, [10007]) == own_api.send("DELETE", f"{AT}/{uuid.UUID(int=0)}").refusal


def test_the_audit_log_lists_the_deployed_versions(worker: Api) -> None:
    """The audit entry lists the versions, because the deployment itself is deleted with the script."""
    *_, third, fourth = version_ids(worker)
    made = deploy(worker, (third, 50), (fourth, 50)).result

    *_, (_, last) = worker.run(worker.store.audit_entries(worker.ref("w").account_id, limit=1000))
    event = json.loads(last.entry)
    assert ("deployments.create", "w") == (event["action"], event["script"])
    assert uuid.UUID(made["id"]).hex == event["resource"]
    assert [uuid.UUID(version).hex for version in (third, fourth)] == event["version_id"].split(",")
