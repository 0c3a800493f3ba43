"""URLs of audit sinks: each bad one is refused with words that say what to give, and that repeat no credential."""

from pathlib import Path

import pytest

from nightsafe.audit.sinks.address import parse_address
from nightsafe.errors import Code, NightsafeError

GOOD = {
    "file:///var/log/a%20b.jsonl": ("file", "", 0, "", Path("/var/log/a b.jsonl"), "/var/log/a b.jsonl"),
    "file://localhost/x.jsonl": ("file", "", 0, "", Path("/x.jsonl"), "/x.jsonl"),
    "https://logs.example": ("https", "logs.example", 443, "/", None, "https://logs.example"),
    "https://logs.example:8443/in?a=b": ("https", "logs.example", 8443, "/in?a=b", None, "https://logs.example:8443"),
    "https://[2001:db8::1]/in": ("https", "2001:db8::1", 443, "/in", None, "https://[2001:db8::1]"),
    "http://127.0.0.1:80/in": ("http", "127.0.0.1", 80, "/in", None, "http://127.0.0.1"),
    "http://localhost:9000": ("http", "localhost", 9000, "/", None, "http://localhost:9000"),
    "syslog+tls://logs.example": ("syslog+tls", "logs.example", 6514, "/", None, "syslog+tls://logs.example"),
    "syslog+tcp://[::1]:1514": ("syslog+tcp", "::1", 1514, "/", None, "syslog+tcp://[::1]:1514"),
}

BAD = {
    "": "this is not the URL",
    "/var/log/x.jsonl": "file:///path/to/log.jsonl",
    "ftp://logs.example/x": "this is not the URL",
    "udp://logs.example": "syslog+tls://host:6514",
    "syslog://logs.example": "syslog+tls://host:6514",
    "https:///in": "this is not the URL",
    "https://logs.example:0": "this is not the URL",
    "https://logs.example:99999": "cannot be parsed",
    "https://[::1/in": "cannot be parsed",
    "https://logs.example/in#x": "this is not the URL",
    "https://logs.example/a b": "printable ASCII",
    "https://logs.example/\n": "printable ASCII",
    "https://lögs.example/": "printable ASCII",
    f"https://{'a' * 64}.example/": "this is not the URL",
    "http://logs.example/in": "without TLS the audit log can be read on the way; give https://",
    "http://127.0.0.1.example/in": "give https://",
    "syslog+tcp://logs.example": "give syslog+tls://",
    "syslog+tls://logs.example/x": "has a path or a query",
    "syslog+tls://logs.example?x": "has a path or a query",
    "file://logs.example/x": "without a host",
    "file:x.jsonl": "file:///absolute/path",
    "file:///x?y": "without a host, query or fragment",
    "file:///var/log/": "must name a file",
    "file:///var/log/..": "must name a file",
    "file:///x%00": "must name a file",
}


@pytest.mark.parametrize(("url", "expected"), GOOD.items())
def test_the_parts_of_a_url(url: str, expected: tuple[str, str, int, str, Path | None, str]) -> None:
    """A URL has a scheme, a host with a port, a target and a path; default ports are the schemes' own."""
    address = parse_address(url)

    assert expected == (address.scheme, address.host, address.port, address.target, address.path, address.place)
    assert address.url == url


@pytest.mark.parametrize(("url", "words"), BAD.items())
def test_a_bad_url_is_refused_with_words(url: str, words: str) -> None:
    """A URL that cannot be used is refused, and the refusal names the option and a form that works."""
    with pytest.raises(NightsafeError) as refused:
        parse_address(url)

    [problem] = refused.value.problems
    assert problem.code is Code.INVALID
    assert problem.detail.startswith("--audit-sink: ")
    assert words in problem.detail


@pytest.mark.parametrize(
    "url", ["https://me:canary@logs.example/", "syslog+tls://canary@logs.example", "x://canary@"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    """A user name or password in the URL is refused, without repeating it; the refusal names the file for a token."""
    with pytest.raises(NightsafeError, match="--audit-sink-token") as refused:
        parse_address(url)

    assert "canary" not in str(refused.value)


def test_the_name_in_figures_shows_no_host() -> None:
    """A sink's name in figures has its scheme and tells sinks apart, but shows neither host nor path."""
    names = {parse_address(f"https://logs.example/{path}").name for path in ("a", "b")}

    assert 2 == len(names)
    for name in names:
        assert name.startswith("https-")
        assert "logs" not in name
