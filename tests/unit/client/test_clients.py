"""The clients: settings, copies, raw answers, reprs and imports."""

import ast
import logging
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.client.recorder import ACCOUNT, Answer, Either, answer, raw, refusal, settled
from tests.unit.tools.interpreter import ROOT, loaded_by

import nightsafe.client
from nightsafe.client import APIError, APIStatusError, InternalServerError, Request, SecretKey, SecretText

SECRET = {"name": "S", "type": "secret_text"}
GET = {"account_id": ACCOUNT, "script_name": "script"}
FLOOR = {"__init__", "client", "bindings", "sealing", "errors", "secret_value"}


async def test_a_copy_keeps_the_other_settings(either: Either) -> None:
    """A copy keeps the settings that are not given, adds headers, and shares the connections."""
    client = either.over(*[answer(SECRET)] * 3, default_headers={"X-One": "1"}, timeout=7, max_retries=4)
    other = client.with_options(api_token="other", default_headers={"X-Two": "2"}, max_retries=0)
    third = client.copy(base_url="http://127.0.0.1:1/client/v4", default_query={"q": "1"})
    for each in (client, other, third):
        await settled(each.workers.scripts.secrets.get("S", **GET))

    first, second, last = either.recorder.requests
    assert (4, 0, 7) == (client.max_retries, other.max_retries, other.timeout.read)
    assert ("Bearer token-of-the-test", "Bearer other") == (
        first.headers["authorization"],
        second.headers["authorization"],
    )
    assert ("1", "2", None) == (second.headers["x-one"], second.headers["x-two"], first.headers.get("x-two"))
    assert last.url.startswith("http://127.0.0.1:1/client/v4/accounts/")
    assert last.url.endswith("?q=1")
    assert "Bearer token-of-the-test" == last.headers["authorization"]


async def test_a_client_closes_its_connections(either: Either) -> None:
    """A `with` block closes the connections; so does `close`."""
    if either.asynchronous:
        async with either.over():
            assert 0 == either.recorder.closed
    else:
        with either.over():
            assert 0 == either.recorder.closed
    assert 1 == either.recorder.closed
    await settled(either.over().close())
    assert 1 == either.recorder.closed


async def test_a_raw_answer_has_headers_body_and_result(either: Either) -> None:
    """A raw answer has status, headers, body, retries and result; refusals are still raised."""
    shown = answer(SECRET, headers=[("CF-Ray", "1"), ("X-Two", "a"), ("x-two", "b")])
    client = either.over(refusal(503, 10002), shown, refusal(404, 10056))
    secrets = client.workers.scripts.secrets.with_raw_response
    got = await settled(secrets.get("S", **GET))

    assert (200, 1, "GET") == (got.status_code, got.retries_taken, got.method)
    assert ("1", "a, b") == (got.headers["cf-ray"], got.headers["X-TWO"])
    assert shown.content == await settled(got.read())
    assert SECRET == (await settled(got.json()))["result"]
    assert '"success"' in await settled(got.text())
    assert SecretText("S") == await settled(got.parse())
    assert got.url.endswith("/secrets/S")
    with pytest.raises(APIStatusError):
        await settled(secrets.get("S", **GET))


async def test_a_raw_list_parses_to_pages(either: Either) -> None:
    """A raw list parses to a page whose next pages are parsed."""
    one, two = ([{"id": name, "name": name}] for name in "ab")
    client = either.over(answer(one), answer(two))
    page = await settled((await settled(client.accounts.with_raw_response.list())).parse())
    change_feed = await settled(page.get_next_page())

    assert ["a", "b"] == [page.result[0].id, change_feed.result[0].id]


async def test_a_raw_answer_without_a_result_raises_when_parsed(either: Either) -> None:
    """A raw answer without a result can be read, and parsing it raises."""
    client = either.over(raw(b'{"success": false, "errors": [{"code": 10056, "message": "x"}]}'))
    got = await settled(client.workers.scripts.secrets.with_raw_response.get("S", **GET))

    with pytest.raises(nightsafe.client.SecretNotFoundError):
        await settled(got.parse())


def test_results_are_comparable_and_immutable() -> None:
    """Results can be compared and hashed but not changed; their reprs equal the official SDK's."""
    key = SecretKey(algorithm={"name": "HMAC"}, format="raw", name="K", usages=("sign", "verify"))

    assert SecretText("S") == SecretText(name="S")
    assert 1 == len({SecretText("S"), SecretText("S")})
    with pytest.raises(AttributeError):
        key.name = "other"  # type: ignore[misc]
    assert "WorkersBindingKindSecretText(name='S', type='secret_text')" == str(SecretText("S"))
    assert (
        "WorkersBindingKindSecretKey(algorithm={'name': 'HMAC'}, format='raw', name='K', type='secret_key', "
        "usages=['sign', 'verify'])"
    ) == str(key)
    assert {"type": "secret_text", "name": "S"} == msgspec.to_builtins(SecretText("S"))


async def test_nothing_shows_a_credential_or_a_value(either: Either, caplog: pytest.LogCaptureFixture) -> None:
    """No credential or value appears in a client, a request, an error, its cause, or a debug log."""
    caplog.set_level(logging.DEBUG)
    canaries = ["canary-token", "canary-key", "canary-service", "canary-value"]
    settings = {"api_token": canaries[0], "api_key": canaries[1], "user_service_key": canaries[2]}
    answers: list[Answer] = [refusal(400, 10021), TimeoutError("x"), ConnectionError("y")]
    client = either.over(*answers, *answers, max_retries=0, **settings)
    shown = [repr(client), repr(client._settings), repr(client._settings.credentials)]
    for headers in (None, {"X-Auth-Key": nightsafe.client.omit}):
        for _ in range(3):
            with pytest.raises(APIError) as raised:
                await settled(
                    client.workers.scripts.secrets.update(
                        "s", account_id=ACCOUNT, name="S", text=canaries[3], type="secret_text", extra_headers=headers
                    )
                )
            error = raised.value
            shown += [str(error), repr(error), str(error.__cause__), str(error.args), repr(error.request)]
            shown += [str(error.request.raw_headers), error.request.content.decode(), str(vars(error))]
    shown += [repr(request) for request in either.recorder.requests] + [
        repr(request.headers) for request in either.recorder.requests
    ]
    shown += [caplog.text, *(str(record.args) for record in caplog.records)]

    assert caplog.records
    assert all(canaries[3].encode() in request.content for request in either.recorder.requests)
    assert [] == [text for text in shown for canary in canaries if canary in text]


async def test_a_retry_is_logged(either: Either, caplog: pytest.LogCaptureFixture) -> None:
    """Each retry is logged with its path and its delay."""
    caplog.set_level(logging.INFO)
    client = either.over(refusal(500, 10002), refusal(500, 10002), refusal(500, 10002))
    with pytest.raises(InternalServerError):
        await settled(client.workers.scripts.secrets.get("S", **GET))

    assert 2 == caplog.text.count("/secrets/S: retry in ")


def test_the_client_loads_only_its_own_modules() -> None:
    """The client loads only its own modules and those below: no cryptography, no server and no second client."""
    loaded = loaded_by("from nightsafe.client import Nightsafe\nNightsafe(api_token='x').workers.scripts.secrets")
    ours = {name.split(".")[1] for name in loaded if name.startswith("nightsafe.")}

    assert ours <= FLOOR
    assert {"cryptography", "rfc8785", "starlette", "granian", "click", "pydantic", "httpx"}.isdisjoint(loaded)
    assert "nightsafe.client.aio.client" not in loaded
    assert "nightsafe.client.aio.client" in loaded_by("from nightsafe.client import AsyncNightsafe")


def test_all_exported_names_exist() -> None:
    """`__all__` is sorted and complete, and no other name resolves."""
    assert sorted(nightsafe.client.__all__) == nightsafe.client.__all__
    assert all(getattr(nightsafe.client, name) is not None for name in nightsafe.client.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Cloudflare'"):
        _ = nightsafe.client.Cloudflare


def test_the_blocking_client_is_made_from_the_asynchronous_one() -> None:
    """`tools/generate_client.py` would generate the blocking client unchanged."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "generate_client.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_error_is_in_the_tree() -> None:
    """The module's docstring names every error class, and each is exported."""
    source = Path(str(nightsafe.client.errors.__file__)).read_text(encoding="utf-8")
    module = ast.parse(source)
    classes = {
        node.name
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error") and not node.name.startswith("_")
    }

    assert classes
    assert [] == [name for name in classes if name not in (ast.get_docstring(module) or "")]
    assert classes <= set(nightsafe.client.__all__)


def test_a_requests_repr_is_method_and_url() -> None:
    """A request's repr has its method and URL."""
    request = Request("PUT", nightsafe.client.Origin("https", "safe.test", None), b"/x", [(b"x", b"y")], b"content")

    assert "<Request PUT https://safe.test/x>" == repr(request)
    assert b"" == request.bare().content
