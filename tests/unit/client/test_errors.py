"""Errors: which class is raised for which answer, and what it contains."""

import json

import pytest
from tests.unit.client.recorder import ACCOUNT, Either, answer, raw, refusal, settled

from nightsafe import client as ours
from nightsafe.client import APIResponseValidationError, APIStatusError, SecretNotFoundError

GET = {"account_id": ACCOUNT, "script_name": "script"}


@pytest.mark.parametrize(
    ("status", "codes", "name"),
    [
        (400, [10021], "BadRequestError"),
        (400, [10053], "NameTakenError"),
        (401, [1000], "AuthenticationError"),
        (403, [10000], "NotPermittedError"),
        (403, [9109], "NotPermittedError"),
        (403, [10502], "PermissionDeniedError"),
        (401, [10000], "AuthenticationError"),
        (404, [10007], "ScriptNotFoundError"),
        (404, [10090], "ScriptNotFoundError"),
        (404, [10056], "SecretNotFoundError"),
        (404, [7003, 7000], "NotFoundError"),
        (404, [], "NotFoundError"),
        (409, [10040], "ConflictError"),
        (418, [1], "APIStatusError"),
        (422, [1], "UnprocessableEntityError"),
        (429, [971], "RateLimitError"),
        (429, [10429], "RateLimitError"),
        (500, [10002], "InternalServerError"),
        (599, [10056], "InternalServerError"),
        (200, [10056], "SecretNotFoundError"),
        (200, [971], "RateLimitError"),
        (200, [1], "APIStatusError"),
        (200, [], "APIStatusError"),
        (302, [], "APIStatusError"),
    ],
)
async def test_each_refusal_has_its_class(either: Either, status: int, codes: list[int], name: str) -> None:
    """Status (as in the official SDK) and code determine the class; `success: false` is always a refusal."""
    client = either.over(refusal(status, *codes), max_retries=0)

    with pytest.raises(APIStatusError) as raised:
        await settled(client.workers.scripts.secrets.get("S", **GET))

    assert type(raised.value) is getattr(ours, name)
    assert status == raised.value.status_code
    assert codes == [error.code for error in raised.value.errors]
    assert str(raised.value).startswith(f"Error code: {status}")


async def test_an_error_has_every_part_of_the_answer(either: Either) -> None:
    """An error has code, message, pointer, documentation and chain, and `body`, `response` and `request`."""
    below = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    source = {"pointer": "/secrets/a~1b/text"}
    url = "https://developers.cloudflare.com/"
    client = either.over(refusal(404, 10056, source=source, documentation_url=url, error_chain=below))

    with pytest.raises(SecretNotFoundError) as raised:
        await settled(client.workers.scripts.secrets.get("S", **GET))

    error = raised.value
    [first] = error.errors
    assert (10056, "message of 10056", source["pointer"], url) == (
        first.code,
        first.message,
        first.pointer,
        first.documentation_url,
    )
    assert below == first.error_chain
    assert "Error code: 404 - 10056 message of 10056" == error.message == str(error)
    assert json.loads(error.response.content) == error.body
    assert "GET" == error.request.method
    assert error.request.url.endswith("/workers/scripts/script/secrets/S")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"<html>busy</html>",
        b'{"errors": null}',
        b'{"errors": "none"}',
        b'{"errors": [1, null, {"code": "10007", "message": 3, "source": [], "error_chain": {}}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_a_refusal_without_envelope_raises_by_status(either: Either, body: bytes) -> None:
    """A refusal without a valid envelope raises by its status."""
    client = either.over(raw(body, 502), max_retries=0)

    with pytest.raises(ours.InternalServerError) as raised:
        await settled(client.workers.scripts.secrets.get("S", **GET))

    assert all(0 == error.code for error in raised.value.errors)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"{}",
        b'{"result": null, "success": true}',
        b'{"result": {"name": "S"}, "success": true}',
        b'{"result": {"name": "S", "type": "kv_namespace"}, "success": true}',
        b'{"result": {"name": 1, "type": "secret_text"}}',
        b'{"result": {"name": "S", "type": "secret_text"}, "success": "yes"}',
        b"[" * 100_000,
        b'{"result": {"name": "\xff", "type": "secret_text"}}',
    ],
)
async def test_a_malformed_success_raises_a_validation_error(either: Either, body: bytes) -> None:
    """A malformed success raises APIResponseValidationError, without any of the answer in its message."""
    client = either.over(raw(body))

    with pytest.raises(APIResponseValidationError) as raised:
        await settled(client.workers.scripts.secrets.get("S", **GET))

    assert "is not what the API promises" in str(raised.value)
    assert "welcome" not in str(raised.value)
    assert raised.value.__context__ is None


async def test_unknown_members_of_an_answer_are_dropped(either: Either) -> None:
    """A value that a server leaks and unknown members are not in the result."""
    client = either.over(answer({"name": "S", "type": "secret_text", "text": "leaked", "more": [1]}))

    secret = await settled(client.workers.scripts.secrets.get("S", **GET))

    assert "WorkersBindingKindSecretText(name='S', type='secret_text')" == repr(secret)
    assert not hasattr(secret, "text")


async def test_a_redirect_is_not_followed(either: Either) -> None:
    """A redirect is not followed, so credentials and secrets stay with the addressed server."""
    client = either.over(raw(b"", 307, [("location", "https://elsewhere.test/")]))

    with pytest.raises(APIStatusError, match=r"https://elsewhere\.test/, and redirects are not followed"):
        await settled(client.workers.scripts.secrets.get("S", **GET))
