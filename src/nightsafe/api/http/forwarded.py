"""Finds the client of a request that comes through trusted proxies.

Each proxy appends the address that connected to it, so the list is read from its end: the first address there that is
not a trusted proxy is the client. Addresses further to the left are the client's own claims. Only one header is read,
because a proxy sets one of the two and passes the other on unchanged.

Source: RFC 7239 for `Forwarded`; `X-Forwarded-For` is the same list without names.
"""

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Condition, Networks, RequestIp

UNKNOWN: Final = "unknown"
"""The address of a client that the proxy does not name. No range contains it, so no address condition admits it."""

LISTED: Final = "x-forwarded-for"
NAMED: Final = "forwarded"

_MAX_BYTES: Final = 4096
_MAX_HOPS: Final = 32
_MAX_REMEMBERED: Final = 1024
_SPACES: Final = b" \t"
_PORT: Final = rb"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
_BRACKETED: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)\]" + _PORT)
_DOTTED: Final = re.compile(rb"([0-9.]+)" + _PORT)
_BARE: Final = re.compile(rb"([0-9A-Fa-f:.]+)")
_NAMELESS: Final = re.compile(rb"(?:unknown|_[A-Za-z0-9._-]+)" + _PORT, re.IGNORECASE)
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb"\"(?:[^\"\\\r\n]|\\[^\r\n])*\""
_PAIR: Final = re.compile(rb"[ \t]*(%b)=(%b|%b)[ \t]*(;|,|$)" % (_TOKEN, _TOKEN, _QUOTED))
_EMPTY: Final = re.compile(rb"[ \t]*(?:,|$)")


class Proxies:
    """The trusted proxies: the server believes their headers about the client.

    Args:
        networks: address ranges of the proxies, at least one.
        header: the header that they set, in lower case.
    """

    def __init__(self, networks: Sequence[str], header: str = LISTED) -> None:
        self._trusted = Networks(Condition(RequestIp(in_=tuple(networks))))
        self._header = header.encode()
        self._hops = _forwarded_hops if header == NAMED else _x_forwarded_for_hops
        self._client_of = functools.lru_cache(maxsize=_MAX_REMEMBERED)(self._find_client)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address of a request's client.

        Args:
            peer: the address of the other end of the connection. The headers count only if it is a trusted proxy.
            headers: names in lower case, with values.

        Raises:
            NightsafeError: MALFORMED_HEADER, when the proxy's header cannot be read: a guess would be worse.
        """
        if not self._trusted.admit(peer):
            return peer
        lines = tuple([value for name, value in headers if name == self._header])
        return self._client_of(peer, lines) if lines else peer

    def _find_client(self, peer: str, lines: Sequence[bytes]) -> str:
        """Return the client's address from a proxy's header lines."""
        if sum(map(len, lines)) > _MAX_BYTES:
            raise self._refusal(f"is over {_MAX_BYTES} bytes")
        address, count = peer, 0
        for hop in self._hops(lines):
            address, count = self._address(hop), count + 1
            if not self._trusted.admit(address):
                return address
            if count == _MAX_HOPS:
                raise self._refusal(f"names more than {_MAX_HOPS} proxies")
        return address

    def _address(self, hop: bytes | None) -> str:
        """Return the address of one hop."""
        if hop is None:
            raise self._refusal("is not a list in the syntax of RFC 7239")
        match = _BRACKETED.fullmatch(hop) or _DOTTED.fullmatch(hop) or _BARE.fullmatch(hop)
        if match is None and _NAMELESS.fullmatch(hop):
            return UNKNOWN
        try:
            address = ipaddress.ip_address(match[1].decode() if match else "")
        except ValueError:
            raise self._refusal("contains an entry that is not an address") from None
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address)

    def _refusal(self, what: str) -> NightsafeError:
        """Return the refusal of the header, without its content."""
        name = self._header.decode().title()
        return NightsafeError(Code.MALFORMED_HEADER, f"{name}, sent by the proxy in front, {what}")


def _x_forwarded_for_hops(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the hops of `X-Forwarded-For`, the last one first. Several lines are one list."""
    for line in reversed(lines):
        for hop in reversed(line.split(b",")):
            if bare := hop.strip(_SPACES):
                yield bare


def _forwarded_hops(lines: Sequence[bytes]) -> Iterator[bytes | None]:
    """Yield the hops of `Forwarded`, the last one first; None for a line that cannot be read."""
    for line in reversed(lines):
        yield from reversed(_elements(line) or [None])


def _elements(line: bytes) -> list[bytes | None]:
    """Return the `for` of each element of a line, `unknown` for an element without `for`; [] for an invalid line."""
    elements: list[bytes | None] = []
    at, hop, in_element = 0, b"", False
    while at < len(line) or in_element:
        empty, pair = _EMPTY.match(line, at), _PAIR.match(line, at)
        if empty is not None and not in_element:
            at = empty.end()
            continue
        if pair is None or (hop and pair[1].lower() == b"for"):
            return []
        if pair[1].lower() == b"for":
            hop = _unquoted(pair[2]) or b"?"
        at, in_element = pair.end(), pair[3] == b";"
        if not in_element:
            elements.append(hop or UNKNOWN.encode())
            hop = b""
    return elements


def _unquoted(value: bytes) -> bytes:
    """Return a token, or the content of a quoted string."""
    return re.sub(rb"\\(.)", rb"\1", value[1:-1]) if value.startswith(b'"') else value
