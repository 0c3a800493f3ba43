"""Request heads that two readers could understand differently, sent over a plain socket."""

import re
import socket

import pytest
from tests.clients.wire.talk import SCRIPTS
from tests.server import Server

VERIFY = "/client/v4/user/tokens/verify"
PUT = f"PUT {SCRIPTS}/absent/secrets HTTP/1.1\r\nHost: a\r\n"
CHUNKS = "2\r\n{}\r\n0\r\n\r\n"
NEXT = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

GET = f"GET {VERIFY} HTTP/1.1\r\n"
NO_HOST = {
    "no host": f"{GET}TOKEN\r\n",
    "two hosts": f"{GET}Host: a\r\nHost: b\r\nTOKEN\r\n",
    "the same host twice": f"{GET}Host: a\r\nTOKENhost: a\r\n\r\n",
    "an empty host": f"{GET}Host:\r\nTOKEN\r\n",
    "a path": f"{GET}Host: a/b\r\nTOKEN\r\n",
    "a user": f"{GET}Host: user@a\r\nTOKEN\r\n",
    "a space": f"{GET}Host: a b\r\nTOKEN\r\n",
    "no port": f"{GET}Host: a:b\r\nTOKEN\r\n",
    "two hosts in HTTP/1.0": f"GET {VERIFY} HTTP/1.0\r\nHost: a\r\nHost: b\r\nTOKEN\r\n",
    "a probe without": "GET /livez HTTP/1.1\r\n\r\n",
    "two hosts beside a URL": f"GET http://a{VERIFY} HTTP/1.1\r\nHost: a\r\nHost: b\r\nTOKEN\r\n",
}
PASSES = {
    "HTTP/1.0": f"GET {VERIFY} HTTP/1.0\r\nTOKEN\r\n",
    "a whole URL": f"GET http://a{VERIFY} HTTP/1.1\r\nHost: a\r\nTOKEN\r\n",
    "a port": f"{GET}Host: a:80\r\nTOKEN\r\n",
    "an address": f"{GET}Host: [::1]:80\r\nTOKEN\r\n",
    "line feeds alone": f"{GET}Host: a\r\nTOKEN\r\n".replace("\r", ""),
    "an upgrade": f"{GET}Host: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nTOKEN\r\n",
}
MALFORMED = {
    "two lengths": f"{PUT}Content-Length: 2\r\nContent-Length: 3\r\nTOKEN\r\n{{}}",
    "a list of lengths": f"{PUT}Content-Length: 2, 2\r\nTOKEN\r\n{{}}",
    "a length with a sign": f"{PUT}Content-Length: +2\r\nTOKEN\r\n{{}}",
    "a length in hex": f"{PUT}Content-Length: 0x2\r\nTOKEN\r\n{{}}",
    "an unknown coding": f"{PUT}Transfer-Encoding: xchunked\r\nTOKEN\r\n{CHUNKS}",
    "a coding that is not last": f"{PUT}Transfer-Encoding: chunked, gzip\r\nTOKEN\r\n{CHUNKS}",
    "two codings": f"{PUT}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nTOKEN\r\n{CHUNKS}",
    "chunks in HTTP/1.0": f"{PUT}Transfer-Encoding: chunked\r\nTOKEN\r\n{CHUNKS}".replace("/1.1", "/1.0"),
    "a folded line": f"{GET}Host: a\r\nX: a\r\n b\r\nTOKEN\r\n",
    "a folded first line": f"{GET} Host: a\r\nTOKEN\r\n",
    "a space before the colon": f"{GET}Host : a\r\nTOKEN\r\n",
    "a return in a value": f"{GET}Host: a\r\nX: a\rTOKEN\r\n",
    "a NUL": f"{GET}Host: a\r\nX: a\0b\r\nTOKEN\r\n",
    "another version": f"GET {VERIFY} HTTP/1.2\r\nHost: a\r\nTOKEN\r\n",
}
LAST = {
    "chunks and a length": f"{PUT}Transfer-Encoding: chunked\r\nContent-Length: 3\r\nTOKEN\r\n{CHUNKS}",
    "a length and chunks": f"{PUT}Content-Length: 3\r\nTransfer-Encoding: chunked\r\nTOKEN\r\n{CHUNKS}",
    "a chunk of a negative size": f"{PUT}Transfer-Encoding: chunked\r\nTOKEN\r\n-2\r\n{{}}\r\n0\r\n\r\n",
    "chunks by line feeds": f"{PUT}Transfer-Encoding: chunked\r\nTOKEN\r\n2\n{{}}\n0\n\n",
    "an extension with a line feed": f'{PUT}Transfer-Encoding: chunked\r\nTOKEN\r\n2;a="\n"\r\n{{}}\r\n0\r\n\r\n',
}


def said(server: Server, head: str, *, then: str = "") -> tuple[list[int], bytes]:
    """Return the statuses of all answers to some bytes, and all bytes of the answers."""
    sent = (head + then).replace("TOKEN", f"Authorization: Bearer {server.safe.api_token}\r\n").encode("latin-1")
    with socket.create_connection(("127.0.0.1", server.port), 20) as line:
        line.sendall(sent)
        read = b""
        while part := _part(line):
            read += part
            if not then and b"\r\n\r\n" in read:
                break
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", read)], read


def _part(line: socket.socket) -> bytes:
    """Return the next bytes, or nothing when the server has closed the connection."""
    try:
        return line.recv(1 << 16)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("what", PASSES)
def test_a_valid_host_is_accepted(server: Server, what: str) -> None:
    """A request with a valid Host passes; HTTP/1.0 may omit it, and lines may end in a line feed (RFC 9112, 2.2)."""
    assert [200] == said(server, PASSES[what])[0]


@pytest.mark.parametrize("what", MALFORMED)
def test_an_ambiguous_head_is_refused(server: Server, what: str) -> None:
    """The server itself refuses the head and does not read the following bytes as a request."""
    assert [400] == said(server, MALFORMED[what], then=NEXT)[0]


def test_a_credential_in_a_trailer_is_ignored(server: Server) -> None:
    """A credential in a trailer authenticates nobody."""
    head = f"{PUT}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nTOKEN\r\n"

    assert [400] == said(server, head)[0]
