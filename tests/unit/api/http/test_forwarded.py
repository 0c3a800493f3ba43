"""The client's address from a proxy's headers: trusted proxies, the hop that counts, and malformed headers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.api.http.forwarded import LISTED, NAMED, UNKNOWN, Proxies
from nightsafe.errors import Code, NightsafeError

PEER = "10.0.0.1"
RANGES = ("10.0.0.0/8", "2001:db8:ffff::/48")
LIST = Proxies(RANGES)
NAMES = Proxies(RANGES, NAMED)


def client(*lines: str, peer: str = PEER, proxies: Proxies = LIST, header: str = LISTED) -> str:
    """Return the client's address for these header lines."""
    return proxies.client(peer, [(header.encode(), line.encode("latin-1")) for line in lines])


def client_named(*lines: str) -> str:
    """Return the client's address for these lines of `Forwarded`."""
    return client(*lines, proxies=NAMES, header=NAMED)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([], PEER),
        ([""], PEER),
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:DB8:0::1]"], "2001:db8::1"),
        (["[2001:db8::1]:443"], "2001:db8::1"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1,203.0.113.9 ,\t10.1.1.1"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9", "10.1.1.1, 2001:db8:ffff::7"], "203.0.113.9"),
        (["::ffff:10.1.1.1", "::ffff:203.0.113.9, ::ffff:10.2.2.2"], "203.0.113.9"),
        (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        (["<script>, 203.0.113.9"], "203.0.113.9"),
        ([", ,203.0.113.9,,"], "203.0.113.9"),
        (["198.51.100.1, unknown"], UNKNOWN),
        (["198.51.100.1, _hidden, 10.1.1.1"], UNKNOWN),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_a_proxy(lines: list[str], address: str) -> None:
    """The last hop that is not a proxy is the client; hops before it are its own claims and are ignored."""
    assert client(*lines) == address


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["for=203.0.113.9"], "203.0.113.9"),
        (["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9"),
        (['by="[2001:db8::2]" ; for="[2001:db8::1]:4711"'], "2001:db8::1"),
        (['for="203.0.113.9:4711", for=10.1.1.1'], "203.0.113.9"),
        (['for=198.51.100.1;host="a,b;for=1.2.3.4"', "for=203.0.113.9,for=10.1.1.1"], "203.0.113.9"),
        ([r'for="203.0.113.\9"'], "203.0.113.9"),
        (["for=198.51.100.1, for=unknown"], UNKNOWN),
        (['for=198.51.100.1, for="_gazonk:_p"'], UNKNOWN),
        (["for=198.51.100.1, proto=https"], UNKNOWN),
        ([", for=203.0.113.9 ,"], "203.0.113.9"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_defines_it(lines: list[str], address: str) -> None:
    """`Forwarded` is read as RFC 7239 defines it: names in any case, quoted strings, several lines."""
    assert client_named(*lines) == address


BAD_LISTS = ["zzz", "203.0.113.9, 256.1.1.1", "1.2.3", "[::1", "::1]", "203.0.113.9:", "203.0.113.9:123456"]
BAD_LISTS += ["fe80::1%eth0", "[203.0.113.9]:x", "203.0.113.9 203.0.113.8", "unknown x", '"203.0.113.9"', "\xe9"]
BAD_LISTS += ["10.0.0.2," * 32, "a" * 4097]
BAD_NAMES = ["203.0.113.9", "for=", 'for=""', "for=1.2.3.4;", "for=1.2.3.4, for=203.0.113.9;", "for =1.2.3.4"]
BAD_NAMES += ["for=1.2.3.4;for=5.6.7.8", 'for="[2001:db8::1]', 'for=1.2.3.4, for=", for="[2001:db8::1]"']
BAD_NAMES += ['for=1.2.3.4;x=", for=203.0.113.9;host="a.example"', "for=[2001:db8::1]", "for=2001:db8::1", ";", "for"]


@pytest.mark.parametrize(
    ("proxies", "line"), [*((LIST, line) for line in BAD_LISTS), *((NAMES, line) for line in BAD_NAMES)]
)
def test_a_malformed_forwarded_header_is_refused(proxies: Proxies, line: str) -> None:
    """A malformed header is refused with its name and none of its content, and no address is guessed."""
    with pytest.raises(NightsafeError) as refused:
        client(line, proxies=proxies, header=LISTED if proxies is LIST else NAMED)

    assert refused.value.code is Code.MALFORMED_HEADER
    detail = refused.value.problems[0].detail
    assert detail.startswith(("X-Forwarded-For, sent by", "Forwarded, sent by"))
    assert line[:9] not in detail


@pytest.mark.parametrize("peer", ["203.0.113.1", "::1", "::ffff:203.0.113.1", "2001:db8:fffe::1", ""])
def test_headers_of_an_untrusted_peer_are_ignored(peer: str) -> None:
    """The headers of an untrusted peer are ignored, even malformed ones: its own address counts."""
    for line in ("198.51.100.1", "x", "for=198.51.100.1"):
        assert client(line, peer=peer) == peer
        assert client(line, peer=peer, proxies=NAMES, header=NAMED) == peer


@pytest.mark.parametrize("peer", ["10.255.0.1", "::ffff:10.0.0.1", "2001:db8:ffff:1::1"])
def test_any_address_of_a_trusted_range_is_a_proxy(peer: str) -> None:
    """Any address in a trusted range is a proxy, including an IPv4 address mapped into IPv6."""
    assert client("203.0.113.9", peer=peer) == "203.0.113.9"


def test_only_the_configured_header_is_read() -> None:
    """Only the configured header is read, because a proxy passes the other one on from its client."""
    both = [(b"x-forwarded-for", b"203.0.113.1"), (b"forwarded", b"for=203.0.113.2"), (b"x-real-ip", b"203.0.113.3")]

    assert ("203.0.113.1", "203.0.113.2") == (LIST.client(PEER, both), NAMES.client(PEER, both))


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=3))
def test_any_lines_give_an_address_or_a_refusal(lines: list[str]) -> None:
    """Any lines give an address, none or a refusal, and cannot change the hop that the proxy adds."""
    for client_of in (client, client_named):
        with suppress(NightsafeError):
            address = client_of(*lines)
            assert address in {PEER, UNKNOWN} or Proxies([address])
    with suppress(NightsafeError):
        assert client_named(*lines, "for=203.0.113.9") == "203.0.113.9"
    with suppress(NightsafeError):
        assert client_named(", ".join([*lines, "for=203.0.113.9"])) == "203.0.113.9"
    assert client(*lines, "203.0.113.9") == client(", ".join([*lines, "203.0.113.9"])) == "203.0.113.9"
