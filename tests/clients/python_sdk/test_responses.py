"""`with_raw_response` and `with_streaming_response`."""

import json
from typing import Any

from tests.clients.python_sdk.tools.settling import settled
from tests.server import ACCOUNT

TEXT = {"name": "mine", "text": "a value", "type": "secret_text"}
FOUND = b'{"result":{"name":"mine","type":"secret_text"},"success":true,"errors":[],"messages":[]}\n'


async def test_raw_responses_parse_like_plain_calls(either: Any, script: str) -> None:
    """Each call returns status, headers and body, and parses into the same result as the plain call."""
    raw = either.workers.scripts.secrets.with_raw_response
    at = {"script_name": script, "account_id": ACCOUNT}
    calls: list[tuple[Any, dict[str, Any]]] = [
        (raw.update, {**at, **TEXT}),
        (raw.get, {**at, "secret_name": "mine"}),
        (raw.list, at),
        (raw.bulk_update, {**at, "secrets": {"other": {**TEXT, "name": "other"}}}),
        (raw.delete, {**at, "secret_name": "mine"}),
    ]
    bodies = []
    for call, arguments in calls:
        response = await settled(call(**arguments))
        assert (response.status_code, response.retries_taken) == (200, 0)
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        bodies.append(await settled(response.text()))
        await settled(response.parse())

    mine, other = ({"name": name, "type": "secret_text"} for name in ("mine", "other"))
    results = [json.loads(body)["result"] for body in bodies]
    assert results == [mine, mine, [mine], {"mine": mine, "other": other}, None]


async def test_streaming_responses_can_be_read_in_parts(either: Any, script: str) -> None:
    """The body can be read in parts."""
    secrets = either.workers.scripts.secrets
    await settled(secrets.update(script, account_id=ACCOUNT, **TEXT))
    stream = secrets.with_streaming_response.get("mine", account_id=ACCOUNT, script_name=script)
    if hasattr(stream, "__aenter__"):
        async with stream as response:
            parts = [part async for part in response.iter_bytes(7)]
    else:
        with stream as response:
            parts = list(response.iter_bytes(7))

    assert response.status_code == 200
    assert b"".join(parts) == FOUND


async def test_streaming_responses_parse_like_plain_calls(either: Any, script: str) -> None:
    """A streaming response parses into the model of the plain call."""
    secrets = either.workers.scripts.secrets
    stream = secrets.with_streaming_response.update(script, account_id=ACCOUNT, **TEXT)
    if hasattr(stream, "__aenter__"):
        async with stream as response:
            model = await response.parse()
    else:
        with stream as response:
            model = response.parse()

    assert (model.name, model.type) == ("mine", "secret_text")
