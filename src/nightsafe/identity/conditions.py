"""Conditions on the request that a token comes with: the address it may come from."""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from nightsafe.identity.addresses import Addresses, Network

_MAX_REMEMBERED = 1024


class RequestIp(Struct, frozen=True, rename={"in_": "in"}, omit_defaults=True):
    """CIDR ranges: `in`, from where it may come, empty for anywhere; `not_in`, from where it may not."""

    in_: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()


class Condition(Struct, frozen=True, omit_defaults=True):
    """What a request must be like."""

    request_ip: RequestIp = RequestIp()


class Networks:
    """From where a token may be used. `not_in` wins.

    Raises:
        ValueError: when a range is no CIDR range.
    """

    def __init__(self, condition: Condition) -> None:
        self.admitted = Addresses(_parse(condition.request_ip.in_), _parse(condition.request_ip.not_in))
        self._remembered: dict[str, bool] = {}

    def admit(self, address: str) -> bool:
        """Whether a request from this address passes; one without a readable address does not."""
        answer = self._remembered.get(address)
        if answer is None:
            answer = self._decide(address)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[address] = answer
        return answer

    def within(self, other: "Networks") -> bool:
        """Whether every request that passes here passes there."""
        return self.admitted.within(other.admitted)

    def _decide(self, address: str) -> bool:
        """Read the address, and look."""
        try:
            return self.admitted.hold(ipaddress.ip_address(address))
        except ValueError:
            return False


def encode_condition(condition: Condition) -> bytes:
    """A condition as it is stored."""
    return msgspec.json.encode(condition)


def networks_of(encoded: bytes) -> Networks | None:
    """The networks of a stored condition, or None when it has none."""
    condition = msgspec.json.decode(encoded, type=Condition)
    return Networks(condition) if condition.request_ip != RequestIp() else None


def _parse(ranges: Iterable[str]) -> Iterator[Network]:
    """Ranges as networks."""
    return (ipaddress.ip_network(one, strict=False) for one in ranges)
