"""A script learns about its client from known facts and a trusted proxy's headers, never from the client's claims."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio
from tests.delivery.runtime import Runtime
from tests.delivery.sockets import websocket
from tests.effort import last_first

SHOW = """export default { async fetch(request) {
  return Response.json({
    url: request.url, method: request.method, cf: request.cf, redirect: request.redirect,
    headers: Object.fromEntries(request.headers), body: await request.text(),
  });
} };"""
CLAIMS = {
    "cf-connecting-ip": "203.0.113.9",
    "cf-connecting-ipv6": "2001:db8::9",
    "cf-ew-via": "15",
    "cf-ipcountry": "NZ",
    "cf-ray": "planted-AKL",
    "cf-visitor": '{"scheme":"https"}',
    "cf-worker": "planted.example",
    "nightsafe-cf": '{"colo":"AKL"}',
    "nightsafe-proto": "https",
    "true-client-ip": "203.0.113.9",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-host": "planted.example",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
    "x-real-ip": "203.0.113.9",
}
OF_CLIENT = ("cf-connecting-ip", "x-real-ip", "x-forwarded-for")


async def shown(runtime: Runtime, method: str = "GET", path: str = "/a?b=c", **more: Any) -> dict[str, Any]:
    """Return what the script saw of a request."""
    headers = {"host": f"show.localhost:{runtime.port}", **more.pop("headers", {})}
    answer = await runtime.client.request(method, path, headers=headers, **more)
    assert 200 == answer.status_code, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxied() -> AsyncIterator[Runtime]:
    """Yield a delivery process that trusts proxies on this machine and in two networks."""
    trusted = tuple(map(ip_network, ("127.0.0.0/8", "10.1.0.0/20", "2001:db8:aa00::/40")))
    options = {"trusted_proxies": trusted, "domains": ("localhost", "example")}
    with TemporaryDirectory(prefix="ns-") as name:
        async with Runtime(Path(name), **options) as runtime:
            await runtime.upload("show", SHOW)
            yield runtime


async def test_a_client_s_claims_are_ignored(runtime: Runtime) -> None:
    """The script sees where the connection comes from, not these headers, in a cell and in the main process."""
    await runtime.upload("show", SHOW)
    first, second = [await shown(runtime, headers=CLAIMS) for _ in range(2)]

    assert f"http://show.localhost:{runtime.port}/a?b=c" == first["url"]
    assert "127.0.0.1" == first["headers"]["cf-connecting-ip"]
    rays = [told["headers"].pop("cf-ray") for told in (first, second)]
    assert all(re.fullmatch(r"[0-9a-f]{16}-LOCAL", ray) for ray in rays)
    assert rays[0] != rays[1]
    assert first == second
    assert not ({*CLAIMS, "nightsafe-script"} - {"cf-connecting-ip"}) & first["headers"].keys()
    assert "203.0.113.9" not in str(first)


@pytest.mark.parametrize("date", last_first(["2021-11-02", "2022-01-30", "2022-01-31", "2026-11-24"]))
async def test_request_cf_has_only_known_facts(runtime: Runtime, date: str) -> None:
    """`request.cf` has only known facts about the connection, nothing made up and nothing of workerd's own."""
    await runtime.upload("show", SHOW, compatibility_date=date)
    bare = {"httpProtocol": "HTTP/1.1", "colo": "LOCAL"}
    told = await shown(runtime, headers={"accept-encoding": "zstd"})

    told["cf"].pop("botManagement", None)  # the runtime adds it at old dates, as the platform does
    assert bare | {"clientAcceptEncoding": "zstd"} == told["cf"]


async def test_request_cf_is_kept_in_copies(runtime: Runtime) -> None:
    """`request.cf` is one object, copies of the request have the same values, and a script's own `cf` is kept."""
    code = """export default { fetch(request) {
      const own = new Request("http://x.example/", { cf: { colo: "X" } });
      return Response.json([
        request.cf === request.cf, request.cf, new Request(request).cf, request.clone().cf, own.cf,
        new Request("http://x.example/").cf ?? null,
        Object.keys(Object.getOwnPropertyDescriptor(Request.prototype, "cf")),
      ]);
    } };"""
    await runtime.upload("show", code)
    same, told, copied, cloned, own, none, described = (await runtime.get("show")).json()

    assert same
    assert told == copied == cloned
    assert {"colo", "httpProtocol", "clientAcceptEncoding"} == told.keys()
    assert ("X", None) == (own["colo"], none)
    assert ["get", "set", "enumerable", "configurable"] == described


@pytest.mark.parametrize(
    ("said", "url", "client"),
    [
        ({}, "http://show.localhost:PORT/a?b=c", "127.0.0.1"),
        ({"x-forwarded-proto": "https"}, "https://show.localhost:PORT/a?b=c", "127.0.0.1"),
        (
            {"x-forwarded-proto": "HTTPS", "x-forwarded-host": "show.example"},
            "https://show.example/a?b=c",
            "127.0.0.1",
        ),
        ({"x-forwarded-proto": "javascript"}, "http://show.localhost:PORT/a?b=c", "127.0.0.1"),
        ({"x-forwarded-host": "lie.example, show.example:81"}, "http://show.example:81/a?b=c", "127.0.0.1"),
        ({"x-forwarded-host": "/\\?#@"}, "http://show.localhost:PORT/a?b=c", "127.0.0.1"),
        ({"x-forwarded-for": "203.0.113.9"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "203.0.113.9:4711"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "192.0.2.1, 203.0.113.9"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "203.0.113.9,10.1.15.255"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "203.0.113.9, 10.1.16.0"}, "http://show.localhost:PORT/a?b=c", "10.1.16.0"),
        ({"x-forwarded-for": "10.1.0.1, 10.1.0.2"}, "http://show.localhost:PORT/a?b=c", "10.1.0.1"),
        ({"x-forwarded-for": "203.0.113.9, ::ffff:10.1.0.1"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "::ffff:203.0.113.9"}, "http://show.localhost:PORT/a?b=c", "203.0.113.9"),
        ({"x-forwarded-for": "2001:DB8::9, 2001:db8:aaff::1"}, "http://show.localhost:PORT/a?b=c", "2001:db8::9"),
        ({"x-forwarded-for": "[2001:db8:ab00::1]:99"}, "http://show.localhost:PORT/a?b=c", "2001:db8:ab00::1"),
        ({"x-forwarded-for": "203.0.113.9, unknown, 10.1.0.1"}, "http://show.localhost:PORT/a?b=c", "10.1.0.1"),
        ({"x-forwarded-for": "203.0.113.256"}, "http://show.localhost:PORT/a?b=c", "127.0.0.1"),
        ({"x-forwarded-for": ""}, "http://show.localhost:PORT/a?b=c", "127.0.0.1"),
        (
            {"x-forwarded-for": "203.0.113.9, 10.1.0.1", "x-forwarded-proto": "https, http"},
            "https://show.localhost:PORT/a?b=c",
            "203.0.113.9",
        ),
        (
            {"x-forwarded-for": "192.0.2.1, 203.0.113.9", "x-forwarded-proto": "https, http"},
            "http://show.localhost:PORT/a?b=c",
            "203.0.113.9",
        ),
    ],
)
async def test_a_trusted_proxy_is_believed(proxied: Runtime, said: Mapping[str, str], url: str, client: str) -> None:
    """Scheme, host and the last address that is not a trusted proxy's come from the proxy's headers."""
    silent = {"x-forwarded-for": "", "x-forwarded-host": "", "x-forwarded-proto": ""}
    told = await shown(proxied, headers={**CLAIMS, **silent, **said})

    url = url.replace("PORT", str(proxied.port))
    scheme = url.partition(":")[0]
    assert url == told["url"]
    assert [client] * 3 == [told["headers"][name] for name in OF_CLIENT]
    assert (scheme, f'{{"scheme":"{scheme}"}}') == (
        told["headers"]["x-forwarded-proto"],
        told["headers"]["cf-visitor"],
    )
    assert url.split("/")[2] == told["headers"]["host"]
    assert not {"cf-ipcountry", "cf-worker", "x-forwarded-host", "true-client-ip"} & told["headers"].keys()
    assert "httpProtocol" not in told["cf"]


async def test_a_peer_that_is_not_a_proxy_is_not_believed(folder: Path) -> None:
    """Headers from a peer outside the trusted networks are ignored."""
    async with Runtime(folder, trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("::1/128"))) as runtime:
        await runtime.upload("show", SHOW)
        told = await shown(runtime, headers=CLAIMS)

    assert f"http://show.localhost:{runtime.port}/a?b=c" == told["url"]
    assert "127.0.0.1" == told["headers"]["cf-connecting-ip"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PURGE"])
async def test_methods_and_bodies_arrive_as_sent(proxied: Runtime, method: str) -> None:
    """Methods and bodies, with a length or in chunks, arrive as sent, also when the proxy changes the URL."""

    async def parts() -> AsyncIterator[bytes]:
        """Yield a body without a length."""
        for _ in range(3):
            yield b"part "
            await asyncio.sleep(0)

    for said in ({}, {"x-forwarded-proto": "https", "x-forwarded-host": "show.localhost"}):
        whole = await shown(proxied, method, content=b"all of it", headers=said)
        assert (method, "all of it", "manual") == (whole["method"], whole["body"], whole["redirect"])
        assert "9" == whole["headers"]["content-length"]
        streamed = await shown(proxied, method, content=parts(), headers=said)
        assert "part part part " == streamed["body"]


async def test_redirects_and_head_answers_pass_unchanged(proxied: Runtime) -> None:
    """A redirect and an answer to HEAD reach the client as the script made them."""
    code = """export default { fetch(request) {
      return request.method === "HEAD" ? new Response(null, { headers: { x: "y" } })
        : Response.redirect(new URL("/to", request.url), 302);
    } };"""
    await proxied.upload("goes", code)
    host = {"host": "goes.localhost", "x-forwarded-proto": "https"}
    answer = await proxied.client.get("/from", headers=host)
    assert (302, "https://goes.localhost/to") == (answer.status_code, answer.headers["location"])
    head = await proxied.client.head("/from", headers=host)
    assert (200, "y", b"") == (head.status_code, head.headers["x"], head.content)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_websocket_opens_under_either_scheme(proxied: Runtime, scheme: str) -> None:
    """A WebSocket opens with any scheme that the proxy names."""
    code = """export default { fetch(request) {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.send(request.url);
      return new Response(null, { status: 101, webSocket: client });
    } };"""
    await proxied.upload("talks", code)
    async with websocket(proxied.port, "talks", "/ws", f"X-Forwarded-Proto: {scheme}") as socket:
        words = await socket.receive()

    assert f"{scheme}://talks.localhost/ws" == words.decode()
