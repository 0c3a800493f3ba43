"""Options that name the trusted proxies in front of Nightsafe."""

from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.settings.options import option

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    Networks = tuple[IPv4Network | IPv6Network, ...]

HEADERS = ("x-forwarded-for", "forwarded")


def networks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> "Networks":
    """Parse networks and single addresses."""
    from ipaddress import ip_network

    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"{error}; give a network, for example 10.0.0.0/8, or an address") from None


trusted_proxy_option = option(
    "--trusted-proxy",
    "Network of proxies that are trusted to give their client's address. Repeatable.",
    multiple=True,
    metavar="CIDR",
    callback=networks,
)
_header_option = option(
    "--proxy-header",
    "Header in which proxies in front of the API give the client's address; the other one is ignored.",
    type=click.Choice(HEADERS),
    default=HEADERS[0],
)


def proxy_options(command: Any) -> Any:
    """Add the options of an API behind proxies."""
    return trusted_proxy_option(_header_option(command))
