"""Requests: credentials, headers, paths, queries and bodies."""

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from cloudflare._utils import path_template
from hypothesis import given
from hypothesis import strategies as st
from tests.clients.names import DOTS, NAMES, shortened
from tests.unit.client.recorder import ACCOUNT, Either, answer, gathered, settled

from nightsafe.api.http.multipart import FormPart, parse_form
from nightsafe.client import Timeout, omit
from nightsafe.client.call import segment

SECRET = {"name": "S", "type": "secret_text"}
VERIFIED = answer({"id": "1", "status": "active"})
ALL = {"api_token": "t", "api_key": "k", "api_email": "e@x", "user_service_key": "v1.0-u"}
_SDK = "/accounts/{account_id}/workers/scripts/{script_name}/secrets/{secret_name}"
_AUTH = ("authorization", "x-auth-key", "x-auth-email", "x-auth-user-service-key")


async def sent(either: Either, **settings: Any) -> dict[str, str]:
    """Return the headers of one request by a client with these settings."""
    client = either.over(VERIFIED, **settings)
    await settled(client.user.tokens.verify())
    return dict(either.recorder.request.headers)


@pytest.mark.parametrize(
    ("given_ones", "expected"),
    [
        (("api_token",), {"authorization": "Bearer t"}),
        (("api_key", "api_email"), {"x-auth-key": "k", "x-auth-email": "e@x"}),
        (("api_token", "api_key", "api_email"), {"x-auth-key": "k", "x-auth-email": "e@x"}),
        (("api_token", "api_email"), {"x-auth-email": "e@x"}),
        (("user_service_key",), {"x-auth-user-service-key": "v1.0-u"}),
        (("api_token", "user_service_key"), {"authorization": "Bearer t"}),
        (tuple(ALL), {"x-auth-key": "k", "x-auth-email": "e@x"}),
    ],
)
@pytest.mark.parametrize("way", ["arguments", "environment"])
async def test_credentials_are_chosen_in_the_sdks_order(
    either: Either, monkeypatch: pytest.MonkeyPatch, given_ones: tuple[str, ...], expected: dict[str, str], way: str
) -> None:
    """Key and e-mail come before a token, and a token before a service key, from arguments or the SDK's variables."""
    variables = {"api_email": "CLOUDFLARE_EMAIL", "user_service_key": "CLOUDFLARE_API_USER_SERVICE_KEY"}
    settings: dict[str, Any] = {"api_token": None}
    for name in given_ones:
        if way == "arguments":
            settings[name] = ALL[name]
        else:
            monkeypatch.setenv(variables.get(name, f"CLOUDFLARE_{name.upper()}"), ALL[name])

    headers = await sent(either, **settings)

    assert expected == {name: shown for name, shown in headers.items() if name in _AUTH}


async def test_an_empty_credential_overrides_the_environment(either: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty credential overrides the environment, so that a token alone can be sent."""
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "k")
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "e@x")

    headers = await sent(either, api_key="", api_email="", user_service_key="")

    assert {"authorization": "Bearer token-of-the-test"} == {
        name: shown for name, shown in headers.items() if name in _AUTH
    }


async def test_without_credentials_nothing_is_sent(either: Either) -> None:
    """Without credentials TypeError is raised, as by the official SDK, unless a call gives or omits their header."""
    client = either.over(VERIFIED, VERIFIED, api_token=None)

    with pytest.raises(TypeError, match="Could not resolve authentication method"):
        await settled(client.user.tokens.verify())
    with pytest.raises(TypeError, match="Could not resolve authentication method"):
        await settled(client.user.tokens.verify(extra_headers={"X-Other": "1"}))
    await settled(client.user.tokens.verify(extra_headers={"Authorization": omit}))
    await settled(client.user.tokens.verify(extra_headers={"Authorization": "Bearer mine"}))

    assert [None, "Bearer mine"] == [request.headers.get("authorization") for request in either.recorder.requests]


_BAD = ["token\n", "token\r\nX: y", "to\0ken", "t\u00f6k\u0119n", "token "]


@pytest.mark.parametrize(
    ("name", "bad"),
    [*(("api_token", text) for text in [*_BAD, ""]), *(("api_key", text) for text in [*_BAD, " token"])],
)
def test_a_credential_unfit_for_a_header_is_refused(either: Either, name: str, bad: str) -> None:
    """A credential that no header can carry is refused at once, by the header's name and without its value."""
    with pytest.raises(ValueError, match="header") as raised:
        either.over(**{"api_token": None, name: bad})

    assert not bad.strip() or bad.strip() not in str(raised.value)


async def test_every_request_has_the_standard_headers(either: Either) -> None:
    """Every request has accept, agent and version headers; a body has its type and length."""
    client = either.over(answer(SECRET), api_version="2026-01-02")
    await settled(
        client.workers.scripts.secrets.update("s", account_id=ACCOUNT, name="S", text="x", type="secret_text")
    )

    headers = either.recorder.request.headers
    assert "safe.test" == headers["host"]
    assert "application/json" == headers["accept"]
    assert headers["user-agent"].startswith(("Nightsafe/", "AsyncNightsafe/"))
    assert "2026-01-02" == headers["api-version"]
    assert "application/json" == headers["content-type"]
    assert str(len(either.recorder.request.content)) == headers["content-length"]


async def test_custom_headers_override_each_other(either: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers come from the environment, the client and the call; later ones override earlier ones, in any case."""
    monkeypatch.setenv("CLOUDFLARE_CUSTOM_HEADERS", "X-One: env\nX-Two: env\n no header \nX-Three:a:b")
    client = either.over(VERIFIED, default_headers={"x-two": "client", "X-Four": "client", "Accept": omit})
    await settled(client.user.tokens.verify(extra_headers={"X-FOUR": "call", "api-version": omit}))

    headers = either.recorder.request.headers
    assert ("env", "client", "a:b", "call") == tuple(headers[f"x-{n}"] for n in ("one", "two", "three", "four"))
    assert {"accept", "api-version"}.isdisjoint(headers)


@pytest.mark.parametrize("name", NAMES, ids=shortened)
async def test_odd_names_are_encoded_once(either: Either, name: str) -> None:
    """Odd names are encoded as by the official SDK: decoding once returns the name. The flag changes nothing."""
    client = either.over(*[answer(SECRET)] * 2, answer(None), answer(None))
    secrets = client.workers.scripts.secrets
    at = {"account_id": ACCOUNT, "script_name": name}
    await settled(secrets.get(name, **at))
    await settled(secrets.get(name, **at, url_encoded=True))
    await settled(secrets.delete(name, **at, url_encoded=False))
    await settled(secrets.delete(name, **at))

    expected = "/client/v4" + path_template(_SDK, account_id=ACCOUNT, script_name=name, secret_name=name)
    targets = [request.target.decode() for request in either.recorder.requests]
    assert [expected + query for query in ("", "?url_encoded=true", "?url_encoded=false", "")] == targets
    assert name == unquote_to_bytes(targets[0].split("/")[-1]).decode()


@pytest.mark.parametrize("name", [*DOTS, ""])
async def test_names_unfit_for_a_path_are_refused(either: Either, name: str) -> None:
    """A name that no path can contain raises ValueError before anything is sent, in each position."""
    client = either.over()
    secrets: Any = client.workers.scripts.secrets
    in_namespace: Any = client.workers_for_platforms.dispatch.namespaces.scripts.secrets

    calls: list[Callable[[], Any]] = [
        lambda: secrets.get(name, account_id=ACCOUNT, script_name="s"),
        lambda: secrets.get("S", account_id=name, script_name="s"),
        lambda: secrets.get("S", account_id=ACCOUNT, script_name=name),
        lambda: secrets.delete(name, account_id=ACCOUNT, script_name="s"),
        lambda: in_namespace.get("S", account_id=ACCOUNT, dispatch_namespace=name, script_name="s"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"non-empty|cannot be in a path"):
            await settled(call())
    assert [] == either.recorder.requests


@given(st.text(min_size=1).filter(lambda name: name not in DOTS and not any("\ud800" <= c <= "\udfff" for c in name)))
def test_names_are_encoded_as_by_the_sdk(name: str) -> None:
    """Every name is encoded as by the SDK."""
    assert path_template("{name}", name=name) == segment("name", name)


async def test_secrets_of_a_dispatch_namespace_have_all_calls(either: Either) -> None:
    """A dispatch namespace has the same five calls."""
    client = either.over(answer(SECRET), answer([SECRET]), answer(SECRET), answer({"S": SECRET}), answer(None))
    secrets = client.workers_for_platforms.dispatch.namespaces.scripts.secrets
    at = {"account_id": ACCOUNT, "dispatch_namespace": "n/1", "script_name": "s"}
    text = {"name": "S", "text": "x", "type": "secret_text"}
    await settled(secrets.get("S", **at))
    await gathered(secrets.list(**at))
    await settled(secrets.update(**at, **text))
    await settled(secrets.bulk_update(**at, secrets={"S": text}))
    await settled(secrets.delete("S", **at))

    base = f"https://safe.test/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces/n%2F1/scripts/s/secrets"
    assert [
        ("GET", f"{base}/S"),
        ("GET", base),
        ("PUT", base),
        ("PATCH", f"{base}-bulk"),
        ("DELETE", f"{base}/S"),
    ] == [(request.method, request.url) for request in either.recorder.requests]


async def test_bodies_contain_only_what_was_given(either: Either) -> None:
    """A body contains only what was given, and `extra_body`."""
    key = {"name": "K", "type": "secret_key", "algorithm": {"name": "HMAC"}, "format": "raw", "usages": ["sign"]}
    shown = {**key}
    client = either.over(answer(SECRET), answer(shown), *[answer({})] * 3)
    secrets = client.workers.scripts.secrets
    await settled(secrets.update("s", account_id=ACCOUNT, name="", text="", type="secret_text"))
    assert {"name": "", "text": "", "type": "secret_text"} == either.recorder.body
    made = await settled(
        secrets.update(
            "s", account_id=ACCOUNT, **key, key_base64="AAAA", extra_body={"more": 1}, extra_query={"q": "é"}
        )
    )
    assert {**key, "key_base64": "AAAA", "more": 1} == either.recorder.body
    assert either.recorder.requests[-1].url.endswith("/secrets?q=%C3%A9")
    assert ("K", ("sign",), {"name": "HMAC"}, "raw") == (made.name, made.usages, made.algorithm, made.format)
    await settled(secrets.bulk_update("s", account_id=ACCOUNT))
    assert {} == either.recorder.body
    await settled(secrets.bulk_update("s", account_id=ACCOUNT, secrets={"A": None}, version_tags={"t": "1"}))
    assert {"secrets": {"A": None}, "version_tags": {"t": "1"}} == either.recorder.body


async def test_queries_have_the_apis_form(either: Either) -> None:
    """Queries contain the given values and the client's own; booleans, dates and lists have the API's form."""
    client = either.over(answer({"items": []}), answer({"deployments": []}), answer([]), default_query={"d": "1"})
    scripts = client.workers.scripts
    await gathered(scripts.versions.list("s", account_id=ACCOUNT, deployable=True, page=2, per_page=5))
    since = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    await gathered(scripts.deployments.list("s", account_id=ACCOUNT, since=since))
    await gathered(client.accounts.list(name="a b", extra_query={"x": ["1", True], "d": omit}))

    assert [
        "d=1&deployable=true&page=2&per_page=5",
        "d=1&since=2026-01-02T00%3A00%3A00%2B00%3A00",
        "d=1&name=a+b&x=1&x=true",
    ] == [request.url.partition("?")[2] for request in either.recorder.requests]


async def test_timeouts_are_taken_in_every_form(either: Either) -> None:
    """The default timeout is a minute, five seconds to connect; clients and calls accept every form and None."""

    class Foreign:
        """A timeout as another library has it."""

        connect, read, write, pool = 1.0, 2.0, 3.0, 4.0

    client = either.over(*[VERIFIED] * 6)
    await settled(client.user.tokens.verify())
    await settled(client.user.tokens.verify(timeout=None))
    await settled(client.with_options(timeout=Foreign()).user.tokens.verify())
    await settled(client.with_options(timeout=9).user.tokens.verify())
    await settled(client.with_options(timeout=9).user.tokens.verify(timeout=Timeout(read=1)))

    assert [
        Timeout(connect=5.0, read=60.0, write=60.0, pool=60.0),
        Timeout(connect=None, read=None, write=None, pool=None),
        Timeout(connect=1.0, read=2.0, write=3.0, pool=4.0),
        Timeout(connect=9, read=9, write=9, pool=9),
        Timeout(connect=60.0, read=1, write=60.0, pool=60.0),
    ] == either.recorder.timeouts


async def parts_of(either: Either) -> list[FormPart]:
    """Return the parts of the last request's form, parsed as the server does."""

    async def body() -> Any:
        """Yield the body in one piece."""
        yield either.recorder.requests[-1].content

    return list(await parse_form(either.recorder.requests[-1].headers["content-type"].encode(), body()))


async def test_uploads_send_files_of_every_form(either: Either, tmp_path: Path) -> None:
    """Files of every form are sent with their names and types, the metadata last."""
    (tmp_path / "lib.wasm").write_bytes(b"\0asm")
    (tmp_path / 'odd "name".js').write_bytes(b"1")
    metadata = {"main_module": "worker.js", "bindings": [{"type": "plain_text", "name": "V", "text": "x"}]}
    opened = (tmp_path / 'odd "name".js').open("rb")
    client = either.over(answer({"id": "s", "startup_time_ms": 1, "unknown": 1}))
    with opened:
        script = await settled(
            client.workers.scripts.update(
                "s",
                account_id=ACCOUNT,
                metadata=metadata,
                bindings_inherit="strict",
                files=[
                    ("worker.js", b"export default {}", "application/javascript+module"),
                    ("more.js", "export {}"),
                    tmp_path / "lib.wasm",
                    opened,
                    ("data", io.BytesIO(b"\r\n--x"), None, {"X-Own": "1"}),
                    b"nameless",
                ],
            )
        )

    assert ("s", 1) == (script.id, script.startup_time_ms)
    assert either.recorder.request.url.endswith("/workers/scripts/s?bindings_inherit=strict")
    *files, last = await parts_of(either)
    module = "application/javascript+module"
    assert [
        ("files", "worker.js", module, b"export default {}"),
        ("files", "more.js", module, b"export {}"),
        ("files", "lib.wasm", "application/wasm", b"\0asm"),
        ("files", "odd %22name%22.js", module, b"1"),
        ("files", "data", "application/octet-stream", b"\r\n--x"),
        ("files", "upload", "application/octet-stream", b"nameless"),
    ] == [(file.name, file.filename, file.content_type, file.body) for file in files]
    assert "metadata" == last.name
    assert b'{"main_module":"worker.js","bindings":[{"type":"plain_text","name":"V","text":"x"}]}' == last.body


async def test_a_classic_script_is_not_sent_as_a_module(either: Either) -> None:
    """A `.js` file that `body_part` names is sent as a script, not as a module."""
    client = either.over(answer({"id": "s"}))
    await settled(
        client.workers.scripts.update(
            "s",
            account_id=ACCOUNT,
            metadata={"body_part": "w.js"},
            files=[("w.js", b"1")],
            extra_body={"logpush": True},
        )
    )

    file, metadata = await parts_of(either)
    assert "application/javascript" == file.content_type
    assert b'{"body_part":"w.js","logpush":true}' == metadata.body


async def test_a_line_break_in_a_file_adds_no_header(either: Either) -> None:
    """A line break in a media type is refused, and in a file name it is escaped."""
    client = either.over(answer({"id": "s"}))
    scripts = client.workers.scripts
    with pytest.raises(ValueError, match="line break"):
        await settled(scripts.update("s", account_id=ACCOUNT, metadata={}, files=[("a", b"", "text/plain\r\nX: y")]))
    await settled(scripts.update("s", account_id=ACCOUNT, metadata={}, files=[("a\r\nb", b"", "text/plain")]))

    assert "a%0D%0Ab" == (await parts_of(either))[0].filename


@pytest.mark.parametrize(
    ("base_url", "url", "host"),
    [
        ("http://127.0.0.1:8787/client/v4/", "http://127.0.0.1:8787/client/v4/user", "127.0.0.1:8787"),
        ("https://safe.test:443/client/v4", "https://safe.test/client/v4/user", "safe.test"),
        ("http://[::1]:80", "http://[::1]/user", "[::1]"),
        ("https://bücher.test", "https://xn--bcher-kva.test/user", "xn--bcher-kva.test"),
    ],
)
async def test_base_urls_may_have_port_and_path(either: Either, base_url: str, url: str, host: str) -> None:
    """A base URL may have a port, a path and a final slash."""
    client = either.over(answer({"id": "1", "email": "e@x"}), base_url=base_url)

    assert "e@x" == (await settled(client.user.get())).email
    assert (url, host) == (either.recorder.request.url, either.recorder.request.headers["host"])


@pytest.mark.parametrize(
    "base_url", ["", "safe.test", "ftp://safe.test", "https://", "https://u:p@safe.test", "http://x/?q"]
)
def test_invalid_base_urls_are_refused(either: Either, base_url: str) -> None:
    """An invalid base URL raises ValueError with an example, and without the URL, which may contain a password."""
    with pytest.raises(ValueError, match="base_url must be like") as raised:
        either.over(base_url=base_url)

    assert "u:p" not in str(raised.value)


def test_the_environment_sets_the_base_url(either: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CLOUDFLARE_BASE_URL` sets the base URL; the default is Cloudflare's."""
    assert "https://api.cloudflare.com/client/v4" == either.over(base_url=None).base_url
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/client/v4")
    assert "http://127.0.0.1:1/client/v4" == either.over(base_url=None).base_url


async def test_request_makes_any_other_call(either: Either) -> None:
    """`request` returns the result as JSON."""
    client = either.over(answer({"enabled": True}))

    given_back = await settled(client.request("POST", "/x", query={"a": 1}, body={"b": 2}))

    assert {"enabled": True} == given_back
    assert ("POST", "https://safe.test/client/v4/x?a=1") == (
        either.recorder.request.method,
        either.recorder.request.url,
    )
    assert {"b": 2} == either.recorder.body
