"""A token's conditions on a request: the addresses that it may come from."""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from nightsafe.identity.addresses import Addresses, Network

_MAX_REMEMBERED = 1024


class RequestIp(Struct, frozen=True, rename={"in_": "in"}, omit_defaults=True):
    """CIDR ranges of request addresses.

    `in` (here `in_`) lists the allowed ranges; empty allows every address. `not_in` lists the denied ranges.
    """

    in_: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()


class Condition(Struct, frozen=True, omit_defaults=True):
    """The conditions that a request must meet."""

    request_ip: RequestIp = RequestIp()


class Networks:
    """The addresses from which a token may be used. `not_in` wins over `in`.

    Raises:
        ValueError: if a range is not a CIDR range.
    """

    def __init__(self, condition: Condition) -> None:
        self.admitted = Addresses(_parse(condition.request_ip.in_), _parse(condition.request_ip.not_in))
        self._remembered: dict[str, bool] = {}

    def admit(self, address: str) -> bool:
        """Return whether a request from this address is allowed. An unreadable address is not."""
        answer = self._remembered.get(address)
        if answer is None:
            answer = self._decide(address)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[address] = answer
        return answer

    def is_subset_of(self, other: "Networks") -> bool:
        """Return whether `other` allows every address that this allows."""
        return self.admitted.is_subset_of(other.admitted)

    def _decide(self, address: str) -> bool:
        """Parse the address and look it up."""
        try:
            return self.admitted.contains(ipaddress.ip_address(address))
        except ValueError:
            return False


def encode_condition(condition: Condition) -> bytes:
    """Encode a condition for the store."""
    return msgspec.json.encode(condition)


def networks_of(encoded: bytes) -> Networks | None:
    """Return the networks of a stored condition, or None if it does not restrict addresses."""
    condition = msgspec.json.decode(encoded, type=Condition)
    return Networks(condition) if condition.request_ip != RequestIp() else None


def _parse(ranges: Iterable[str]) -> Iterator[Network]:
    """Yield ranges as networks."""
    return (ipaddress.ip_network(text, strict=False) for text in ranges)
