"""`nightsafe run`: API and delivery for one machine, as two processes.

This process is the delivery side. The API is its child, started before any key is read, and cannot read the private
ring. It ends with this process; when it ends by itself it is started anew, and scripts are served on meanwhile.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec

from nightsafe.cli import serve
from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.delivery_options import (
    FILE,
    check_listen,
    delivery_options,
    keys_option,
    option,
    ring_option,
    settings_of,
)
from nightsafe.cli.finishing import used
from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    import ssl

    from nightsafe.cli.api_process import ApiProcess
    from nightsafe.delivery.settings import Settings
    from nightsafe.store.sqlite import SqliteStore

_GROUPS = ("6e6967687473616665206465c16976e1", "6e69676874736166652072657365616c")
_ALWAYS = "delivered"
"""The option of `serve` that is always set here."""

_OF_SERVE = {parameter.name: parameter for parameter in serve.command.params if isinstance(parameter, click.Option)}


def _with_options_of_serve(command: click.Command) -> click.Command:
    """The same command with every option of `serve` before its own."""
    command.params = [*(one for name, one in _OF_SERVE.items() if name != _ALWAYS), *command.params]
    return command


@_with_options_of_serve
@click.command("run")
@option("--client-cert", "PEM file of a certificate to show to the API, with --tls-client-ca.", type=FILE)
@option("--client-key", "PEM file of its private key.", type=FILE)
@ring_option
@keys_option
@delivery_options
def command(**values: Any) -> None:
    """Serve the API of a safe and deliver its secrets to Workers scripts, on one machine.

    Prints a line when the API is ready, and one when scripts are. SIGTERM finishes the requests in flight, then exits
    with 0.
    """
    from nightsafe.cli.logs import configure  # noqa: PLC0415 - help needs none
    from nightsafe.cli.open_files import allow_many  # noqa: PLC0415 - the same

    configure(values["log_format"])
    allow_many()
    if values["tls_client_ca"] and not values["client_cert"]:
        raise click.UsageError(
            "--tls-client-ca needs --client-cert and --client-key: what this process shows to the API"
        )
    check_listen(values)
    directory = DataDirectory(values["data"])
    ring, keys = values["private_ring"] or directory.private_ring, values["verify_keys"] or directory.verify_keys
    settings = settings_of("", ring, values)
    with used(directory.path):
        code = _serve_both(directory, settings, values, (ring, keys))
    sys.exit(code)


def _serve_both(
    directory: DataDirectory, settings: "Settings", values: dict[str, Any], keys: tuple[Path, Path]
) -> int:
    """Serve and deliver with a token that lives as long; gives the exit code."""
    _need_folder(settings.folder)  # before the token of another run would be taken for one that was left behind
    account_id, token_id, token = directory.run(
        lambda store: _mint(store, values["account_id"], f"nightsafe run {settings.folder}")
    )
    settings = msgspec.structs.replace(settings, account_id=account_id)
    try:
        return asyncio.run(_run(settings, values, keys, token))
    finally:
        with contextlib.suppress(NightsafeError):
            directory.run(lambda store: _revoke(store, token_id))


def _need_folder(path: Path) -> None:
    """Refuse to begin while another process delivers with the same files; NightsafeError UNAVAILABLE."""
    from nightsafe.delivery.folder import SocketFolder  # noqa: PLC0415 - help needs none

    folder = SocketFolder(path)
    folder.hold()
    folder.release()


async def _run(settings: "Settings", values: dict[str, Any], keys: tuple[Path, Path], token: str) -> int:
    """Serve and deliver until told to stop; gives the exit code."""
    from nightsafe.cli.delivering import delivering, stop_signals, watched  # noqa: PLC0415 - help needs none
    from nightsafe.cli.local_server import announced  # noqa: PLC0415 - the same
    from nightsafe.delivery.http_source import HttpSource  # noqa: PLC0415 - the same

    with stop_signals() as stopping:
        async with _api(values) as (api, url):
            click.echo(f"listening on {url}")
            local = _local(url)
            source = HttpSource(local, token, settings.account_id, _trusting(url, values))
            with announced(values["data"], local):
                async with delivering(settings, source, *keys, values["listen"]) as delivery:
                    return await watched(delivery, stopping, api.watch())


@contextlib.asynccontextmanager
async def _api(values: dict[str, Any]) -> AsyncIterator[tuple["ApiProcess", str]]:
    """The API's process and its address, ended at the end.

    Raises:
        NightsafeError: INVALID, when it may not or cannot listen there; UNAVAILABLE, when it does not start; it has
            said why.
    """
    from nightsafe.cli.api_process import ApiProcess  # noqa: PLC0415 - help needs none
    from nightsafe.cli.listener import listen, refuse_plain  # noqa: PLC0415 - the same

    if not values["tls_cert"] and not values["plain_http"]:
        refuse_plain(values["host"])
    api = ApiProcess(_arguments(values), listen(values["host"], values["port"]))
    try:
        yield api, await api.start()
    finally:
        await api.stop()


def _arguments(values: dict[str, Any]) -> list[str]:
    """The command line of `serve` that says what is set here; no secret is among it."""
    arguments = ["serve"]
    for name, parameter in _OF_SERVE.items():
        value = name == _ALWAYS or values[name or ""]
        if parameter.is_flag:
            arguments += [parameter.opts[0]] if value else []
        elif value is not None:
            arguments += [parameter.opts[0], str(value)]
    return arguments


def _local(url: str) -> str:
    """The address at which this machine reaches its own API."""
    parts = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")  # noqa: S104 - asked for by --host
    return parts._replace(netloc=f"{host}:{parts.port}").geturl() if host else url


def _trusting(url: str, values: dict[str, Any]) -> "ssl.SSLContext | None":
    """How to speak to the own API: with TLS it must show just the certificate that it was given."""
    import ssl  # noqa: PLC0415 - help needs none

    if not url.startswith("https:"):
        return None
    certificate: Path = values["tls_cert"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is the same machine, and the certificate the one in the file
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=_first_certificate(certificate.read_text()))
    if values["client_cert"]:
        context.load_cert_chain(values["client_cert"], values["client_key"])
    return context


def _first_certificate(pem: str) -> str:
    """The server's own certificate in a file that may also have those of its issuers."""
    end = "-----END CERTIFICATE-----"
    return pem[: pem.index(end) + len(end)] + "\n"


async def _mint(store: "SqliteStore", account_id: str | None, name: str) -> tuple[str, str, str]:
    """A token that may fetch and seal anew, in place of what an earlier run has left; account, id and token."""
    from nightsafe.identity.policy import ACCOUNT_RESOURCE, allowing  # noqa: PLC0415 - help needs none
    from nightsafe.workers.operator import account_of, member_of, revoke_token  # noqa: PLC0415 - the same
    from nightsafe.workers.provision import issue_token  # noqa: PLC0415 - the same

    account = await account_of(store, account_id)
    user = await member_of(store, account, None)
    policies = [allowing(ACCOUNT_RESOURCE + account.id, *_GROUPS)]
    for left in await store.tokens_of_account(account.id):
        if left.name == name:
            await revoke_token(store, left.id)
    issued = await issue_token(store, account.id, user.id, name, policies=policies, owner="account")
    return account.id, issued.id, issued.token


async def _revoke(store: "SqliteStore", token_id: str) -> None:
    """Let nobody use the token any more."""
    from nightsafe.workers.operator import revoke_token  # noqa: PLC0415 - help needs none

    await revoke_token(store, token_id)
