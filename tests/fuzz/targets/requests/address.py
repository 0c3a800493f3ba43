"""Addresses and ranges, one per line: the first is a request's address, the others a token's condition."""

from nightsafe.api.http.rate_limits import address_key
from nightsafe.identity.conditions import Condition, Networks, RequestIp

_EVERYWHERE = ("0.0.0.0/0", "::/0")


def check(data: bytes) -> None:
    """Check that ranges are refused or hold, that `not_in` wins, and that every address has a key."""
    address, *ranges = data.decode("utf-8", "replace").split("\n")
    assert isinstance(address_key(address), bytes)
    try:
        allowed = Networks(Condition(RequestIp(in_=tuple(ranges[:8]))))
        denied = Networks(Condition(RequestIp(in_=tuple(ranges[:8]), not_in=tuple(ranges[:8]))))
    except ValueError:
        return
    admitted = allowed.admit(address)
    assert admitted == allowed.admit(address)
    assert not (ranges[:8] and denied.admit(address))
    assert not Networks(Condition(RequestIp(not_in=_EVERYWHERE))).admit(address)
