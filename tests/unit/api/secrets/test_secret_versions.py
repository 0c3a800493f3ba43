"""`GET …/nightsafe/scripts/{script}/secrets`: where secrets came from, for whoever may read their names."""

from tests.unit.api.tools.driver import ACCOUNT, Api

AT = f"/client/v4/accounts/{ACCOUNT}/nightsafe/scripts"


def test_the_tags_of_the_version_that_set_it(api: Api) -> None:
    """Each secret is told with its version and that version's tags; never with a value."""
    api.upload("worker")
    value = {"type": "secret_text", "text": "canary"}
    assert 200 == api.put("worker", {"name": "PLAIN", **value}).status
    body = {"secrets": {"TAGGED": {"name": "TAGGED", **value}}, "version_tags": {"a": "b"}}
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets-bulk"
    assert 200 == api.json("PATCH", path, body).status

    answer = api.send("GET", f"{AT}/worker/secrets")

    assert [("PLAIN", {}), ("TAGGED", {"a": "b"})] == [(one["name"], one["version_tags"]) for one in answer.result]
    assert 2 == len({one["version_id"] for one in answer.result})
    assert all(len(one["version_id"]) == 36 for one in answer.result)
    assert b"canary" not in answer.body


def test_without_secrets_and_without_a_script(api: Api) -> None:
    """A script without secrets has an empty list; one that is not there is refused as everywhere."""
    api.upload("bare")

    assert [] == api.send("GET", f"{AT}/bare/secrets").result
    assert (404, [10007]) == api.send("GET", f"{AT}/absent/secrets").refusal
