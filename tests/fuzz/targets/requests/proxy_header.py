"""Headers in which a proxy names its client: the first line is a peer, the others are lines of the header."""

import ipaddress

from nightsafe.api.http.forwarded import LISTED, NAMED, UNKNOWN, Proxies
from nightsafe.errors import Code, NightsafeError

_TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", "::1/128")
_FORMS = {header: Proxies(_TRUSTED, header) for header in (LISTED, NAMED)}


def check(data: bytes) -> None:
    """Check that it is refused, an address or `unknown`, and that the header of an untrusted peer is not read."""
    first, *lines = data.split(b"\n")
    peer = first.decode("latin-1")
    for header, proxies in _FORMS.items():
        assert proxies.client("192.0.2.1", [(header.encode(), line) for line in lines]) == "192.0.2.1"
        for given in (peer, "127.0.0.1"):
            try:
                client = proxies.client(given, [(header.encode(), line) for line in lines])
            except NightsafeError as refused:
                assert refused.code is Code.MALFORMED_HEADER
                continue
            if client not in {given, UNKNOWN}:
                assert str(ipaddress.ip_address(client)) == client
