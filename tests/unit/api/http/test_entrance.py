"""What every request must pass first: its Host, and whose it is."""

from typing import Any

import pytest
import structlog
from tests.unit.api.tools.driver import SCRIPTS, Answer, Api
from tests.unit.api.tools.tokens import give

from nightsafe.api.http.entrance import Entrance, throttled
from nightsafe.api.http.forwarded import Proxies
from nightsafe.services.limits import Limits

HERE = "192.0.2.7"
HOST = (b"host", b"safe.example")


def ask(api: Api, app: Any, *headers: tuple[bytes, bytes], version: str = "1.1", path: str = SCRIPTS) -> Answer:
    """GET with the owner's token and these headers."""

    async def of_version(scope: Any, receive: Any, send: Any) -> None:
        """The same request in another version of HTTP."""
        await app(scope | {"http_version": version}, receive, send)

    return api.send("GET", path, b"", [api.bearer, *headers], anonymous=True, to=of_version)


HOSTS = [
    b"a",
    b"safe.example:8787",
    b"127.0.0.1",
    b"[::1]",
    b"[2001:db8::1]:443",
    b"a_b-c.d~e",
    b"a:",
    b"%41",
    b"[v1.x]",
]
NO_HOSTS = [
    b"",
    b" ",
    b"a b",
    b"a/b",
    b"user@a",
    b"a:x",
    b"a:1:2",
    b"[::1",
    b"::1",
    b"a,b",
    b"a#b",
    b"\xe9",
    b"a\\b",
    b"%4",
]
NO_HOSTS = [one for one in NO_HOSTS if one != b"a,b"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host(api: Api, host: bytes) -> None:
    """Passes as RFC 3986 has it."""
    assert ask(api, Entrance(api.app), (b"host", host)).status == 200


@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b"a", b"b"], *([one] for one in NO_HOSTS)])
@pytest.mark.parametrize("path", [SCRIPTS, "/livez"])
def test_no_host(api: Api, hosts: list[bytes], path: str) -> None:
    """None, two or no host at all is 400, and the connection ends: somebody else may read the rest otherwise."""
    answer = ask(api, Entrance(api.app), *((b"host", host) for host in hosts), path=path)

    assert (400, [6003]) == answer.refusal
    assert "send one Host header" in answer.messages[0]
    assert answer.header(b"connection") == b"close"


def test_other_versions(api: Api) -> None:
    """HTTP/1.0 needs no Host, nor does HTTP/2, where a server makes one of `:authority`; but two are two."""
    for version in ("1", "1.0", "2"):
        assert ask(api, Entrance(api.app), version=version).status == 200
        assert ask(api, Entrance(api.app), (b"host", b""), version=version).status == 200
        assert ask(api, Entrance(api.app), (b"host", b"a/b"), version=version).status == 400
        assert ask(api, Entrance(api.app), HOST, HOST, version=version).status == 400


def test_a_condition_sees_the_client(api: Api) -> None:
    """Behind a trusted proxy a token's address condition and the log are about the client, and about nobody else."""
    tokens = give(api)
    app = Entrance(api.app, Proxies([HERE]))

    def status(kind: str, *forwarded: bytes) -> int:
        """What a token of this kind gets with these lines."""
        lines = [(b"x-forwarded-for", one) for one in forwarded]
        headers = [(b"authorization", b"Bearer " + tokens[kind]), HOST, *lines]
        return api.send("GET", SCRIPTS, b"", headers, anonymous=True, to=app).status

    assert [200, 403, 403, 400] == [
        status("from here"),
        status("from here", b"203.0.113.9"),
        status("from here", b"unknown"),
        status("from here", b"x"),
    ]
    assert 403 == status("from here", HERE.encode() + b", 203.0.113.9")
    with structlog.testing.capture_logs() as log:
        status("from here", b"203.0.113.9")
    assert ["203.0.113.9"] == [one["address"] for one in log]


def test_nobody_else_names_a_client(api: Api) -> None:
    """Neither without trusted proxies nor from another address."""
    tokens = give(api)
    headers = [(b"authorization", b"Bearer " + tokens["from elsewhere"]), HOST, (b"x-forwarded-for", b"198.51.100.1")]

    for app in (Entrance(api.app), Entrance(api.app, Proxies(["192.0.2.8"]))):
        assert 403 == api.send("GET", SCRIPTS, b"", headers, anonymous=True, to=app).status


def test_failures_are_the_clients(api: Api) -> None:
    """One client behind a proxy that fails too often changes nothing for another that also fails."""
    app = Entrance(throttled(api.app, Limits(auth_failures=2)), Proxies([HERE]))

    def fail(client: bytes) -> int:
        """A bad token of a client."""
        headers = [(b"authorization", b"Bearer nobody"), HOST, (b"x-forwarded-for", client)]
        return api.send("GET", SCRIPTS, b"", headers, anonymous=True, to=app).status

    assert [403, 403, 429] == [fail(b"203.0.113.1") for _ in range(3)]
    assert 403 == fail(b"203.0.113.2")
