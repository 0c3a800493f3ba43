"""Each error class that the SDK raises: its fields, and values that it never repeats."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cloudflare import APIStatusError, BadRequestError, NotFoundError, PermissionDeniedError
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT

TEXT = {"name": "mine", "text": "a value", "type": "secret_text"}


def codes_and_pointers(error: APIStatusError) -> list[tuple[int | None, str | None]]:
    """Return the code and the pointer of each error."""
    return [(each.code, each.source.pointer if each.source else None) for each in error.errors]


def code_and_message(error: APIStatusError) -> tuple[int, str]:
    """Return the code and message of the only error, after checking its documentation link."""
    [problem] = error.errors
    assert problem.documentation_url is not None
    assert problem.documentation_url.startswith("https://developers.cloudflare.com/")
    assert error.response.headers["content-type"] == "application/json"
    assert problem.code is not None
    assert problem.message is not None
    return problem.code, problem.message


async def test_each_call_for_a_missing_script_is_not_found(either: Any, absent_script: str) -> None:
    """Each of the five calls raises NotFoundError with 10007."""
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
        assert code_and_message(raised.value) == (10007, "This Worker does not exist on your account.")


async def test_a_missing_secret_is_not_found(either: Any, script: str) -> None:
    """`get` and `delete` raise NotFoundError with 10056."""
    secrets = either.workers.scripts.secrets
    for call in (secrets.get, secrets.delete):
        with pytest.raises(NotFoundError) as raised:
            await settled(call("mine", account_id=ACCOUNT, script_name=script))
        assert code_and_message(raised.value) == (
            10056,
            "Binding 'mine' not found. Please use a different name and try again.",
        )


async def test_a_bad_request_has_code_and_pointer(either: Any, script: str) -> None:
    """The SDK raises BadRequestError with a code and a pointer to the field."""
    with pytest.raises(BadRequestError) as raised:
        await settled(
            either.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="mine", text="x" * 5121, type="secret_text"
            )
        )
    _, message = code_and_message(raised.value)
    assert codes_and_pointers(raised.value) == [(10054, "/text")]
    assert message.startswith("Text binding 'mine' is too large.")


async def test_several_invalid_items_give_several_errors(either: Any, script: str) -> None:
    """A request with several invalid items gives an error for each."""
    bad = {"a": {**TEXT, "name": "a", "text": "x" * 5121}, "b": {"name": "b", "type": "none"}, "good": {**TEXT}}
    with pytest.raises(BadRequestError) as raised:
        await settled(either.workers.scripts.secrets.bulk_update(script, account_id=ACCOUNT, secrets=bad))

    assert codes_and_pointers(raised.value) == [
        (10054, "/secrets/a/text"),
        (10021, "/secrets/b/type"),
        (10021, "/secrets/good/name"),
    ]


async def test_an_unknown_token_or_other_account_is_denied(either: Any, script: str) -> None:
    """An unknown token, and another account, raise PermissionDeniedError with 10000."""
    for client, account in ((either.with_options(api_token="unknown"), ACCOUNT), (either, "f" * 32)):
        with pytest.raises(PermissionDeniedError) as raised:
            await settled(client.workers.scripts.secrets.get("mine", account_id=account, script_name=script))
        assert code_and_message(raised.value) == (10000, "Authentication error")


async def test_an_invalid_account_id_is_not_found(either: Any, script: str) -> None:
    """An invalid account id raises NotFoundError with 7003."""
    with pytest.raises(NotFoundError) as raised:
        await settled(either.workers.scripts.secrets.get("mine", account_id="12345", script_name=script))
    assert code_and_message(raised.value)[0] == 7003


async def test_an_unsupported_product_is_named(either: Any) -> None:
    """An unsupported product raises 10015 with its name; an unknown path raises 7003 and 7000, never 10007."""
    with pytest.raises(BadRequestError) as absent:
        await gathered(either.d1.database.list(account_id=ACCOUNT))
    assert code_and_message(absent.value) == (10015, "Nightsafe does not keep D1 databases.")
    with pytest.raises(NotFoundError) as unknown:
        await settled(either.get(f"/accounts/{ACCOUNT}/workers/nonsense", cast_to=object))
    assert [error.code for error in unknown.value.errors] == [7003, 7000]


async def test_an_unsupported_method_is_405_with_allow(either: Any, script: str) -> None:
    """The SDK raises APIStatusError with 405, and `Allow` lists the supported methods."""
    with pytest.raises(APIStatusError) as raised:
        await settled(either.post(f"/accounts/{ACCOUNT}/workers/scripts/{script}/secrets", cast_to=object, body=TEXT))
    assert (raised.value.status_code, code_and_message(raised.value)[0]) == (405, 10405)
    assert raised.value.response.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize("size", [5_000_000, 20_000_000])
async def test_a_body_that_is_too_large_is_413_without_a_retry(either: Any, script: str, size: int) -> None:
    """The SDK raises APIStatusError with 413 without a retry, even while it still sends the body."""
    with pytest.raises(APIStatusError) as raised:
        await settled(
            either.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="mine", text="x" * size, type="secret_text"
            )
        )
    assert (raised.value.status_code, code_and_message(raised.value)[0]) == (413, 10026)
    assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"


async def test_refusals_are_not_retried(either: Any, wire: Wire, script: str) -> None:
    """No refusal has a status that makes the SDK retry."""
    wire.upload(script, {"type": "plain_text", "name": "mine", "text": "x"})
    secrets = either.workers.scripts.secrets
    refused = [{**TEXT}, {**TEXT, "name": ""}, {**TEXT, "type": "none"}, {**TEXT, "name": "x" * 2713}]
    for body in refused:
        with pytest.raises(BadRequestError) as raised:
            await settled(secrets.update(script, account_id=ACCOUNT, **body))
        assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"
        assert "a value" not in f"{raised.value} {raised.value.body}"
