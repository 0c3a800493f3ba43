"""Each class of error that the SDK raises, with all that it carries; and what is never repeated."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cloudflare import APIStatusError, BadRequestError, NotFoundError, PermissionDeniedError
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT

TEXT = {"name": "mine", "text": "a value", "type": "secret_text"}


def places(error: APIStatusError) -> list[tuple[int | None, str | None]]:
    """Code and pointer of each error."""
    return [(one.code, one.source.pointer if one.source else None) for one in error.errors]


def first(error: APIStatusError) -> tuple[int, str]:
    """Code and message of the first error, whose documentation can be looked up."""
    [one] = error.errors
    assert one.documentation_url is not None
    assert one.documentation_url.startswith("https://developers.cloudflare.com/")
    assert error.response.headers["content-type"] == "application/json"
    assert one.code is not None
    assert one.message is not None
    return one.code, one.message


async def test_not_found_script(either: Any, absent_script: str) -> None:
    """NotFoundError with 10007, from each of the five calls."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": absent_script, "account_id": ACCOUNT}
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: settled(secrets.update(**at, **TEXT)),
        lambda: settled(secrets.get("mine", **at)),
        lambda: gathered(secrets.list(**at)),
        lambda: settled(secrets.bulk_update(**at, secrets={"mine": None})),
        lambda: settled(secrets.delete("mine", **at)),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as raised:
            await call()
        assert first(raised.value) == (10007, "This Worker does not exist on your account.")


async def test_not_found_secret(either: Any, script: str) -> None:
    """NotFoundError with 10056, from get and delete."""
    secrets = either.workers.scripts.secrets
    for call in (secrets.get, secrets.delete):
        with pytest.raises(NotFoundError) as raised:
            await settled(call("mine", account_id=ACCOUNT, script_name=script))
        assert first(raised.value) == (
            10056,
            "Binding 'mine' not found. Please use a different name and try again.",
        )


async def test_bad_request(either: Any, script: str) -> None:
    """BadRequestError with its code and a pointer to the field."""
    with pytest.raises(BadRequestError) as raised:
        await settled(
            either.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="mine", text="x" * 5121, type="secret_text"
            )
        )
    _, message = first(raised.value)
    assert places(raised.value) == [(10054, "/text")]
    assert message.startswith("Text binding 'mine' is too large.")


async def test_several_errors(either: Any, script: str) -> None:
    """One request that is wrong in several places carries an error for each."""
    bad = {"a": {**TEXT, "name": "a", "text": "x" * 5121}, "b": {"name": "b", "type": "none"}, "good": {**TEXT}}
    with pytest.raises(BadRequestError) as raised:
        await settled(either.workers.scripts.secrets.bulk_update(script, account_id=ACCOUNT, secrets=bad))

    assert places(raised.value) == [
        (10054, "/secrets/a/text"),
        (10021, "/secrets/b/type"),
        (10021, "/secrets/good/name"),
    ]


async def test_permission_denied(either: Any, script: str) -> None:
    """PermissionDeniedError with 10000 for a token that nobody knows, and for an account that is another's."""
    for client, account in ((either.with_options(api_token="unknown"), ACCOUNT), (either, "f" * 32)):
        with pytest.raises(PermissionDeniedError) as raised:
            await settled(client.workers.scripts.secrets.get("mine", account_id=account, script_name=script))
        assert first(raised.value) == (10000, "Authentication error")


async def test_an_account_id_that_is_none(either: Any, script: str) -> None:
    """NotFoundError with 7003."""
    with pytest.raises(NotFoundError) as raised:
        await settled(either.workers.scripts.secrets.get("mine", account_id="12345", script_name=script))
    assert first(raised.value)[0] == 7003


async def test_a_call_that_is_not_served(either: Any) -> None:
    """10015 with the name of the thing; 7003 and 7000 for what nobody knows; never 10007."""
    with pytest.raises(BadRequestError) as absent:
        await gathered(either.d1.database.list(account_id=ACCOUNT))
    assert first(absent.value) == (10015, "Nightsafe does not keep D1 databases.")
    with pytest.raises(NotFoundError) as unknown:
        await settled(either.get(f"/accounts/{ACCOUNT}/workers/nonsense", cast_to=object))
    assert [error.code for error in unknown.value.errors] == [7003, 7000]


async def test_method_not_allowed(either: Any, script: str) -> None:
    """APIStatusError with 405, and the methods that are allowed."""
    with pytest.raises(APIStatusError) as raised:
        await settled(either.post(f"/accounts/{ACCOUNT}/workers/scripts/{script}/secrets", cast_to=object, body=TEXT))
    assert (raised.value.status_code, first(raised.value)[0]) == (405, 10405)
    assert raised.value.response.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize("size", [5_000_000, 20_000_000])
async def test_too_large(either: Any, script: str, size: int) -> None:
    """APIStatusError with 413 arrives, without a retry, however much the client was still sending."""
    with pytest.raises(APIStatusError) as raised:
        await settled(
            either.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="mine", text="x" * size, type="secret_text"
            )
        )
    assert (raised.value.status_code, first(raised.value)[0]) == (413, 10026)
    assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"


async def test_no_refusal_is_repeated(either: Any, wire: Wire, script: str) -> None:
    """A refusal is sent once: none has a status that the SDK tries again."""
    wire.upload(script, {"type": "plain_text", "name": "mine", "text": "x"})
    secrets = either.workers.scripts.secrets
    refused = [{**TEXT}, {**TEXT, "name": ""}, {**TEXT, "type": "none"}, {**TEXT, "name": "x" * 2713}]
    for body in refused:
        with pytest.raises(BadRequestError) as raised:
            await settled(secrets.update(script, account_id=ACCOUNT, **body))
        assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"
        assert "a value" not in f"{raised.value} {raised.value.body}"
