"""Senders of audit entries: a batch counts as accepted only when the other side has taken all of it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from tests.clients.audit_sinks.receivers import Endpoint, server_context
from tests.clients.tls.authority import Authority, Pair
from tests.shipped import shipped_event

from nightsafe.audit.entry import AuditEvent
from nightsafe.audit.sinks.address import parse_address
from nightsafe.audit.sinks.connection import Connector, connect
from nightsafe.audit.sinks.http import HttpSender
from nightsafe.audit.sinks.sender import NotAcceptedError, reason_of
from nightsafe.audit.sinks.shipment import Shipped
from nightsafe.audit.sinks.syslog import SyslogSender, frame, message

Serve = Callable[[socket.socket], None]


def batch(size: int = 2) -> list[Shipped]:
    """Return a batch of entries."""
    event = AuditEvent(at=1_700_000_000_000_001, action="a", actor="b", actor_kind="c", account_id="d", script="ö")
    return [shipped_event(number, event) for number in range(1, size + 1)]


def connector(url: str, trust: ssl.SSLContext | None = None) -> Connector:
    """Return a connector without a helper process."""
    address = parse_address(url)
    return Connector(address, lambda: connect(address), trust)


@contextmanager
def serving(serve: Serve, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve one connection in a thread; give the port."""

    def run() -> None:
        """Take the connection."""
        with suppress(OSError):
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) if context else connection as secured:
                serve(secured)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


def read_all(connection: socket.socket) -> None:
    """Read until the sender ends the connection."""
    while connection.recv(65536):
        pass


def answer_end(connection: socket.socket) -> None:
    """Read everything, and answer the end of TLS with one's own."""
    read_all(connection)
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()


def close_at_once(_: socket.socket) -> None:
    """Close the connection without reading."""


def read_a_part(connection: socket.socket) -> None:
    """Close the connection after a part of the data."""
    connection.recv(10)


def end_tls_first(connection: socket.socket) -> None:
    """End TLS in order, but before reading."""
    connection.settimeout(0.01)
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError):
            connection.unwrap()


def talk(connection: socket.socket) -> None:
    """Send data without end."""
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize("size", [1, 2000])
@pytest.mark.parametrize("serve", [read_all, answer_end])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_syslog_server_that_reads_everything_has_accepted(
    serve: Serve, size: int, *, encrypted: bool, authority: Authority, pair: Pair
) -> None:
    """A batch is accepted by a server that reads it to its end, with or without a `close_notify` of its own."""
    trust = ssl.create_default_context(cafile=str(authority.certificate)) if encrypted else None
    with serving(serve, server_context(pair) if encrypted else None) as port:
        url = f"syslog+{'tls' if encrypted else 'tcp'}://127.0.0.1:{port}"
        SyslogSender(connector(url, trust), "host").send(batch(size))


@pytest.mark.parametrize("serve", [close_at_once, read_a_part, end_tls_first, talk])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_syslog_server_that_ends_early_has_not_accepted(
    serve: Serve, *, encrypted: bool, authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is not accepted by a server that closes before it has read everything, or that talks instead."""
    monkeypatch.setattr("nightsafe.audit.sinks.connection.TIMEOUT_SECONDS", 2)
    trust = ssl.create_default_context(cafile=str(authority.certificate)) if encrypted else None
    with serving(serve, server_context(pair) if encrypted else None) as port:
        url = f"syslog+{'tls' if encrypted else 'tcp'}://127.0.0.1:{port}"
        with pytest.raises(OSError, match=r"."):
            SyslogSender(connector(url, trust), "host").send(batch(5000))


def test_the_form_of_a_syslog_message() -> None:
    """A message has the priority, the entry's time in UTC, the host and the line; its frame has its length."""
    [entry] = batch(1)
    sent = message(entry, "host.example")

    head, _, text = sent.partition(b" audit - ")
    assert head.startswith(b"<110>1 2023-11-14T22:13:20.000001Z host.example nightsafe ")
    assert entry.line == text
    assert b"%d " % len(sent) + sent == frame(sent)


def test_a_host_name_cannot_break_a_syslog_header() -> None:
    """A host name is printable ASCII without spaces in a message, and `-` if nothing is left."""
    names = {"a b\nc": "abc", "ö": "-", "": "-", "x" * 300: "x" * 255}
    for name, expected in names.items():
        assert expected == SyslogSender(connector("syslog+tcp://127.0.0.1"), name)._host


@pytest.mark.parametrize("status", [200, 202, 299])
def test_an_endpoint_accepts_with_any_2xx(status: int) -> None:
    """Each status from 200 to 299 accepts a batch, also on a connection that is used again."""
    with Endpoint() as endpoint:
        endpoint.status = status
        with closing(HttpSender(connector(endpoint.url), None)) as sender:
            sender.send(batch())
            sender.send(batch(1))
        assert [1, 2, 1] == [line["seq"] for line in endpoint.received.parsed()]
    assert "authorization" not in endpoint.seen[0]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 413, 500, 503])
def test_an_endpoint_refuses_with_any_other_status(status: int) -> None:
    """A redirect is not followed, and it and each error refuse the batch; the reason names the status."""
    with Endpoint() as endpoint:
        endpoint.status = status
        with (
            closing(HttpSender(connector(endpoint.url), None)) as sender,
            pytest.raises(NotAcceptedError, match=f"answered with status {status}"),
        ):
            sender.send(batch())
    assert 1 == len(endpoint.seen)


def test_an_endless_answer_is_cut() -> None:
    """An endpoint that sends an endless body does not fill the memory: the batch is refused."""

    def flood(connection: socket.socket) -> None:
        """Answer with a body that is longer than anybody reads."""
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        talk(connection)

    with serving(flood) as port, pytest.raises(NotAcceptedError, match="answer is too long"):
        HttpSender(connector(f"http://127.0.0.1:{port}/"), None).send(batch())


def test_an_answer_that_is_not_http_is_refused() -> None:
    """An endpoint that does not speak HTTP refuses the batch, and the reason repeats nothing that it sent."""

    def babble(connection: socket.socket) -> None:
        """Answer with something else."""
        connection.recv(65536)
        connection.sendall(b"canary\r\n\r\n")

    with serving(babble) as port, pytest.raises(NotAcceptedError) as refused:
        HttpSender(connector(f"http://127.0.0.1:{port}/"), None).send(batch())
    assert "canary" not in reason_of(refused.value)


def test_a_name_of_this_machine_must_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS, `localhost` is used only if it has an address of this machine."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(OSError, match="no address"):
        connect(parse_address("http://localhost/"))
