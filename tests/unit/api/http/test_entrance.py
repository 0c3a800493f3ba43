"""Checks in front of the application: the Host header and the client's address."""

from typing import Any

import pytest
import structlog
from tests.unit.api.tools.driver import SCRIPTS, Answer, Api
from tests.unit.api.tools.tokens import give

from nightsafe.api.http.entrance import Entrance, with_rate_limits
from nightsafe.api.http.forwarded import Proxies
from nightsafe.services.limits import Limits

HERE = "192.0.2.7"
HOST = (b"host", b"safe.example")


def ask(api: Api, app: Any, *headers: tuple[bytes, bytes], version: str = "1.1", path: str = SCRIPTS) -> Answer:
    """GET with the owner's token and these headers."""

    async def with_version(scope: Any, receive: Any, send: Any) -> None:
        """Pass on the request as one of another HTTP version."""
        await app(scope | {"http_version": version}, receive, send)

    return api.send("GET", path, b"", [api.bearer, *headers], anonymous=True, to=with_version)


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
BAD_HOSTS = [
    b"",
    b" ",
    b"a b",
    b"a/b",
    b"user@a",
    b"a:x",
    b"a:1:2",
    b"[::1",
    b"::1",
    b"a#b",
    b"\xe9",
    b"a\\b",
    b"%4",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_valid_host_is_accepted(api: Api, host: bytes) -> None:
    """A Host header that RFC 3986 allows is accepted."""
    assert ask(api, Entrance(api.app), (b"host", host)).status == 200


@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b"a", b"b"], *([host] for host in BAD_HOSTS)])
@pytest.mark.parametrize("path", [SCRIPTS, "/livez"])
def test_a_missing_repeated_or_malformed_host_is_refused(api: Api, hosts: list[bytes], path: str) -> None:
    """A missing, repeated or malformed Host is refused with 400, and the connection is closed."""
    answer = ask(api, Entrance(api.app), *((b"host", host) for host in hosts), path=path)

    assert (400, [6003]) == answer.refusal
    assert "send one Host header" in answer.messages[0]
    assert answer.header(b"connection") == b"close"


def test_other_http_versions_need_no_host(api: Api) -> None:
    """HTTP/1.0 and HTTP/2 requests need no Host, but a malformed or repeated one is refused."""
    for version in ("1", "1.0", "2"):
        assert ask(api, Entrance(api.app), version=version).status == 200
        assert ask(api, Entrance(api.app), (b"host", b""), version=version).status == 200
        assert ask(api, Entrance(api.app), (b"host", b"a/b"), version=version).status == 400
        assert ask(api, Entrance(api.app), HOST, HOST, version=version).status == 400


def test_an_address_condition_uses_the_forwarded_address(api: Api) -> None:
    """Behind a trusted proxy, a token's address condition and the log use the client's address."""
    tokens = give(api)
    app = Entrance(api.app, Proxies([HERE]))

    def status(kind: str, *forwarded: bytes) -> int:
        """Return the status for a token of this kind with these X-Forwarded-For lines."""
        lines = [(b"x-forwarded-for", line) for line in forwarded]
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
    assert ["203.0.113.9"] == [line["address"] for line in log]


def test_untrusted_forwarded_addresses_are_ignored(api: Api) -> None:
    """X-Forwarded-For is ignored without trusted proxies and from any other address."""
    tokens = give(api)
    headers = [(b"authorization", b"Bearer " + tokens["from elsewhere"]), HOST, (b"x-forwarded-for", b"198.51.100.1")]

    for app in (Entrance(api.app), Entrance(api.app, Proxies(["192.0.2.8"]))):
        assert 403 == api.send("GET", SCRIPTS, b"", headers, anonymous=True, to=app).status


def test_failures_count_for_the_forwarded_client(api: Api) -> None:
    """Failures of one client behind a proxy do not count for another client."""
    app = Entrance(with_rate_limits(api.app, Limits(auth_failures=2)), Proxies([HERE]))

    def failure(client: bytes) -> int:
        """Send a bad token for this client; return the status."""
        headers = [(b"authorization", b"Bearer nobody"), HOST, (b"x-forwarded-for", client)]
        return api.send("GET", SCRIPTS, b"", headers, anonymous=True, to=app).status

    assert [403, 403, 429] == [failure(b"203.0.113.1") for _ in range(3)]
    assert 403 == failure(b"203.0.113.2")
