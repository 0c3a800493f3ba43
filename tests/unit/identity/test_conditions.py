"""Conditions on addresses: `not_in` overrides `in`, and an invalid address is refused."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.identity.conditions import Condition, Networks, RequestIp, encode_condition, networks_of

SOURCES = st.ip_addresses().map(str) | st.sampled_from(["192.0.2.7", "::1", "2001:db8::7", "::ffff:192.0.2.7"])
RANGES = st.lists(
    st.sampled_from(["0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "10.0.0.0/8"]), max_size=3
).map(tuple)


@given(RANGES, RANGES, SOURCES)
def test_not_in_overrides_in(inside: tuple[str, ...], outside: tuple[str, ...], source: str) -> None:
    """An address passes if no range of `not_in` contains it and a range of `in`, if there are any, does."""
    address = ipaddress.ip_address(source)
    mapped = getattr(address, "ipv4_mapped", None)

    def is_in(ranges: tuple[str, ...]) -> bool:
        return any(
            form in ipaddress.ip_network(network)
            for network in ranges
            for form in (address, mapped)
            if form is not None
        )

    networks = Networks(Condition(request_ip=RequestIp(inside, outside)))

    expected = not is_in(outside) and (not inside or is_in(inside))
    assert [expected] * 2 == [networks.admit(source), networks.admit(source)]


@pytest.mark.parametrize("address", ["", "unix:", "192.0.2", "192.0.2.7:80", "[::1]", "localhost", "192.0.2.7/32"])
def test_an_invalid_address_is_refused(address: str) -> None:
    """An invalid address is refused, also if only `not_in` is given."""
    assert not Networks(Condition(request_ip=RequestIp((), ("10.0.0.0/8",)))).admit(address)
    assert not Networks(Condition(request_ip=RequestIp(("0.0.0.0/0", "::/0")))).admit(address)


def test_a_mapped_address_is_checked_as_ipv4() -> None:
    """An IPv4 address that is mapped into IPv6 is refused by a range of either kind."""
    for ranges in (("192.0.2.0/24",), ("::ffff:192.0.2.0/120",)):
        networks = Networks(Condition(request_ip=RequestIp((), ranges)))
        assert not networks.admit("::ffff:192.0.2.7")
        assert networks.admit("::ffff:198.51.100.1")


def test_conditions_are_stored_in_the_apis_form() -> None:
    """A condition is stored in the API's form; an empty condition gives no networks."""
    condition = Condition(request_ip=RequestIp(("192.0.2.0/24",), ("192.0.2.7/32",)))

    assert encode_condition(condition) == b'{"request_ip":{"in":["192.0.2.0/24"],"not_in":["192.0.2.7/32"]}}'
    assert b"{}" == encode_condition(Condition())
    assert networks_of(b"{}") is None
    assert networks_of(b'{"request_ip":{}}') is None
    networks = networks_of(encode_condition(condition))
    assert networks is not None
    assert [True, False] == [networks.admit("192.0.2.1"), networks.admit("192.0.2.7")]


def test_an_invalid_range_is_refused() -> None:
    """A condition with an invalid range is refused."""
    with pytest.raises(ValueError, match="does not appear"):
        Networks(Condition(request_ip=RequestIp(("nowhere",))))


def test_remembered_addresses_are_limited() -> None:
    """At most 1024 addresses are remembered; others are evaluated each time, with the same answer."""
    networks = Networks(Condition(request_ip=RequestIp(("10.0.0.0/8",))))
    addresses = [f"{first}.0.{number >> 8}.{number & 255}" for number in range(1000) for first in (10, 11)]

    for _ in range(2):
        assert [address.startswith("10.") for address in addresses] == [networks.admit(one) for one in addresses]
    assert len(networks._remembered) == 1024
