"""`GET …/nightsafe/scripts/{script}/secrets`: the version that set each secret, for callers who may read names."""

from tests.unit.api.tools.driver import ACCOUNT, Api

AT = f"/client/v4/accounts/{ACCOUNT}/nightsafe/scripts"


def test_secrets_are_listed_with_their_versions_tags(api: Api) -> None:
    """Each secret is listed with its version and that version's tags, and without its value."""
    api.upload("worker")
    value = {"type": "secret_text", "text": "canary"}
    assert 200 == api.put("worker", {"name": "PLAIN", **value}).status
    body = {"secrets": {"TAGGED": {"name": "TAGGED", **value}}, "version_tags": {"a": "b"}}
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets-bulk"
    assert 200 == api.json("PATCH", path, body).status

    answer = api.send("GET", f"{AT}/worker/secrets")

    assert [("PLAIN", {}), ("TAGGED", {"a": "b"})] == [
        (secret["name"], secret["version_tags"]) for secret in answer.result
    ]
    assert 2 == len({secret["version_id"] for secret in answer.result})
    assert all(len(secret["version_id"]) == 36 for secret in answer.result)
    assert b"canary" not in answer.body


def test_secret_versions_of_an_empty_or_missing_script(api: Api) -> None:
    """A script without secrets gets an empty list, and a missing script is refused."""
    api.upload("empty")

    assert [] == api.send("GET", f"{AT}/empty/secrets").result
    assert (404, [10007]) == api.send("GET", f"{AT}/absent/secrets").refusal
