"""Attacks by callers that fail to authenticate, with forged proxy headers, and with ambiguous requests."""

import json
from collections.abc import Iterator

import pytest
from tests.clients.wire.talk import SCRIPTS, Answer, Wire
from tests.clients.wire.test_heads import LAST, NEXT, NO_HOST, said
from tests.live.tools.running import new_token
from tests.server import ACCOUNT, Server, make_safe, run

BUNDLE = f"/client/v4/accounts/{ACCOUNT}/nightsafe/bundles/worker"
BAD = [
    [("Authorization", "Bearer nobody")],
    [("Authorization", "Basic eDp5")],
    [("X-Auth-Email", "nobody@example.com"), ("X-Auth-Key", "k" * 37)],
    [("X-Auth-User-Service-Key", "v1.0-nobody")],
]
CLIENT = ("X-Forwarded-For", "203.0.113.9")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that trusts a proxy on this machine and allows the default number of failures."""
    with Server(make_safe(tmp_path_factory.mktemp("fails")), "--trusted-proxy", "127.0.0.0/8") as running:
        yield running


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """Yield a client without credentials."""
    with Wire(server.port) as client:
        yield client


def ask(wire: Wire, credentials: list[tuple[str, str]], path: str = SCRIPTS, *headers: tuple[str, str]) -> Answer:
    """Send a GET request with these credentials."""
    return wire.ask("GET", path, headers=headers, credentials=credentials)


def test_a_thousand_bad_tokens(server: Server, wire: Wire) -> None:
    """A caller with valid credentials is never refused because others at the same address fail."""
    safe = server.safe
    bearer = [("Authorization", f"Bearer {safe.api_token}")]
    pair = [("X-Auth-Email", safe.email), ("X-Auth-Key", safe.api_key)]
    delivery = [("Authorization", f"Bearer {new_token(safe)}")]
    with Wire.to(server) as owner:
        owner.upload("worker")

    statuses = {ask(wire, BAD[number % 4]).status for number in range(1000)}

    assert {400, 403} == statuses
    for bad in BAD:
        answer = ask(wire, bad)
        assert (429, [10502]) == answer.refusal
        assert 0 < int(answer.header("retry-after") or 0) <= 60
    assert [200] * 4 == [ask(wire, good).status for good in (bearer, pair, bearer, pair)]
    assert 200 == ask(wire, delivery, BUNDLE).status
    assert (429, [10502]) == ask(wire, BAD[0]).refusal
    # another client behind the proxy still gets the reason why its credential is refused
    assert 403 == ask(wire, BAD[0], SCRIPTS, CLIENT).status


def test_the_client_of_a_trusted_proxy(server: Server, wire: Wire) -> None:
    """Behind a proxy that `--trusted-proxy` names, limits, address conditions and the log use the client's address.

    A token bound to addresses is refused unless the proxy reports a single client address within them.
    """
    options = ("--ip", "203.0.113.0/24", "--all-access")
    safe = server.safe
    token = [("Authorization", f"Bearer {new_token_of(server, *options)}")]

    assert 200 == ask(wire, token, SCRIPTS, CLIENT).status
    assert 200 == ask(wire, token, SCRIPTS, ("X-Forwarded-For", "198.51.100.1"), CLIENT).status
    for forwarded in (
        [],
        [(CLIENT[0], "198.51.100.1")],
        [CLIENT, (CLIENT[0], "198.51.100.1")],
        [(CLIENT[0], "unknown")],
    ):
        assert (403, [9109]) == ask(wire, token, SCRIPTS, *forwarded).refusal
    assert (400, [6003]) == ask(wire, token, SCRIPTS, (CLIENT[0], "203.0.113.9, x")).refusal
    assert (403, [9109]) == ask(wire, token, SCRIPTS, ("Forwarded", "for=203.0.113.9")).refusal
    addresses = [json.loads(line).get("address") for line in server.stderr.read_text().splitlines()]
    assert {"127.0.0.1", "198.51.100.1", "unknown"} <= set(addresses)
    assert safe.api_token not in server.stderr.read_text()


def test_the_headers_of_any_other_address(tmp_path_factory: pytest.TempPathFactory) -> None:
    """From any other address, the proxy headers are ignored."""
    safe = make_safe(tmp_path_factory.mktemp("none"))
    with Server(safe, "--trusted-proxy", "203.0.113.0/24", "--proxy-header", "forwarded") as server:
        token = [("Authorization", f"Bearer {new_token_of(server, '--ip', '198.51.100.1', '--all-access')}")]
        with Wire(server.port) as wire:
            for header in (("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=198.51.100.1")):
                assert (403, [9109]) == ask(wire, token, SCRIPTS, header).refusal
            assert 403 == ask(wire, token, SCRIPTS, ("Forwarded", "x")).status


def test_clients_behind_an_unnamed_proxy(server: Server, wire: Wire) -> None:
    """Behind a proxy that `--trusted-proxy` does not name, all clients have the proxy's address.

    Here an unnamed proxy forwards to the named one, which appends the unnamed proxy's address to the list.
    """
    token = [("Authorization", f"Bearer {new_token_of(server, '--ip', '198.51.100.7', '--all-access')}")]
    for client in ("203.0.113.1", "203.0.113.2"):
        assert 200 == ask(wire, token, SCRIPTS, (CLIENT[0], f"{client}, 198.51.100.7")).status


def test_a_trusted_proxy_is_believed(server: Server, wire: Wire) -> None:
    """The API process believes a trusted proxy's header about its client: the proxy must append the address that
    connected to it.

    A proxy that passes the header on unchanged lets a client claim any address.
    """
    token = [("Authorization", f"Bearer {new_token_of(server, '--ip', '203.0.113.9', '--all-access')}")]

    assert 200 == ask(wire, token, SCRIPTS, CLIENT).status
    assert (403, [9109]) == ask(wire, token, SCRIPTS, (CLIENT[0], f"{CLIENT[1]}, 198.51.100.7")).refusal


@pytest.mark.parametrize("what", NO_HOST)
def test_a_request_names_one_host(server: Server, what: str) -> None:
    """An HTTP/1.1 request that does not name exactly one host is refused.

    The server answers 400 (RFC 9112, 3.2) and closes the connection.
    """
    statuses, read = said(server, NO_HOST[what], then=NEXT)

    assert [400] == statuses
    assert b'"code":6003' in read


@pytest.mark.parametrize("what", LAST)
def test_a_body_that_could_end_in_two_places(server: Server, what: str) -> None:
    """After a request whose body's end is ambiguous, the API process closes the connection.

    The server does not read the bytes after it as a request (RFC 9112, 6.3).
    """
    statuses, _ = said(server, LAST[what], then=NEXT)

    assert 1 == len(statuses)
    assert 400 <= statuses[0] < 500


def new_token_of(server: Server, *options: str) -> str:
    """Create a token with these options of `nightsafe token create`, and return it."""
    done = run("token", "create", "--data", str(server.safe.path), *options, cwd=server.safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()
