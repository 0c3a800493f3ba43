"""The API processes of one server. They share a listening socket; the kernel gives each connection to one of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import click

from nightsafe.cli.server.api_process import ApiProcess
from nightsafe.cli.server.listener import listen, refuse_plain
from nightsafe.cli.settings.store_option import store_for_children
from nightsafe.services.delivery.sibling_links import SiblingLinks


class ApiWorkers:
    """The API processes.

    Args:
        processes: the processes, at least one.
        links: their links to each other, which `stop` closes.
    """

    def __init__(self, processes: Iterable[ApiProcess], links: Iterable[SiblingLinks] = ()) -> None:
        self._processes: Final = tuple(processes)
        self._links: Final = tuple(links)

    async def start(self) -> str:
        """Start the processes: the first alone, so that a problem of all is printed once. Return their address.

        Raises:
            NightsafeError: UNAVAILABLE, if one does not start; it has printed the reason.
        """
        first, *others = self._processes
        url = await first.start()
        await asyncio.gather(*(process.start() for process in others))
        return url

    async def watch(self) -> None:
        """Restart each process whenever it ends.

        Raises:
            NightsafeError: UNAVAILABLE, with the reason, when one is not restarted any more.
        """
        tasks = [asyncio.ensure_future(process.watch()) for process in self._processes]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def send_hangup(self) -> None:
        """Send SIGHUP to each process."""
        for process in self._processes:
            process.send_hangup()

    async def stop(self) -> None:
        """Close the socket and stop each process after its requests in flight."""
        await asyncio.gather(*(process.stop() for process in self._processes))
        for links in self._links:
            links.close()


@asynccontextmanager
async def running_api(
    options: Mapping[str, click.Option], values: Mapping[str, Any], place: str, inherited: Iterable[int] = ()
) -> AsyncIterator[tuple[ApiWorkers, str]]:
    """Start the API processes, give them with their address, and stop them at the end.

    Args:
        options: the options of `serve`, by name.
        values: their values.
        place: as for `ApiProcess`.
        inherited: descriptors that the processes inherit.

    Raises:
        NightsafeError: INVALID, if they may not or cannot listen at the address; UNAVAILABLE, if one does not start;
            it has printed the reason.
    """
    if not values["tls_cert"] and not values["plain_http"]:
        refuse_plain(values["host"])
    count, listener = values["workers"], listen(values["host"], values["port"])
    links = SiblingLinks.create(count) if count > 1 else ()
    with store_for_children(click.get_current_context()) as (store_arguments, descriptors):
        arguments, passed = [*arguments_of(options, values), *store_arguments], (*inherited, *descriptors)
        workers = ApiWorkers(
            (
                ApiProcess(arguments, listener, inherited=passed, links=own, place=place)
                for own in (links or (None,) * count)
            ),
            links,
        )
        try:
            yield workers, await workers.start()
        finally:
            await workers.stop()


def arguments_of(options: Mapping[str, click.Option], values: Mapping[str, Any]) -> list[str]:
    """Return the command line of `serve` with these values of its options; it contains no secret."""
    arguments = ["serve"]
    for name, parameter in options.items():
        if not parameter.expose_value:
            continue
        value = values[name]
        if parameter.is_flag:
            arguments += [parameter.opts[0]] if value else []
        elif value is not None:
            for option_value in value if isinstance(value, tuple) else (value,):
                arguments += [parameter.opts[0], str(option_value)]
    return arguments


def local_address(url: str) -> str:
    """Return the address at which this machine reaches its own API."""
    parts = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")  # noqa: S104 - set by --host
    return parts._replace(netloc=f"{host}:{parts.port}").geturl() if host else url
