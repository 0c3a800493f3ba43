"""`nightsafe doctor`: checks a safe for problems."""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from nightsafe.cli.doctor.audit_log import audit_log, older_values
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.doctor.keys import given_up_keys, key_files, private_ring, sealed_values
from nightsafe.cli.doctor.machine import clock, confinement, disk, server, workerd
from nightsafe.cli.doctor.postgres import postgresql
from nightsafe.cli.doctor.scripts import bindings, code
from nightsafe.cli.doctor.store import database, directory, identities, tokens, unfinished
from nightsafe.cli.doctor.tls import tls
from nightsafe.cli.settings.options import FILE, data_option, json_option
from nightsafe.cli.store.snapshot import snapshot
from nightsafe.cli.terminal.os_errors import describe_os_error
from nightsafe.cli.terminal.output import in_words_of_commands, say, show_json, show_table
from nightsafe.errors import NightsafeError

_CHECKS: tuple[Callable[[Examination], Iterable[Finding]], ...] = (
    directory,
    unfinished,
    postgresql,
    database,
    code,
    bindings,
    audit_log,
    older_values,
    key_files,
    private_ring,
    sealed_values,
    given_up_keys,
    identities,
    tokens,
    disk,
    clock,
    tls,
    server,
    confinement,
    workerd,
)


@click.command("doctor")
@data_option
@click.option(
    "--quick", is_flag=True, help="Do not compare the database with its log, nor its indexes with its tables."
)
@click.option(
    "--tls-cert", type=FILE, envvar="NIGHTSAFE_TLS_CERT", help="PEM file of the server's certificate chain."
)
@click.option("--tls-key", type=FILE, envvar="NIGHTSAFE_TLS_KEY", help="PEM file of that certificate's private key.")
@click.option(
    "--tls-client-ca", type=FILE, envvar="NIGHTSAFE_TLS_CLIENT_CA", help="PEM file of the CAs of client certificates."
)
@json_option
def command(  # noqa: PLR0913 - one for each option
    *, data: Path, quick: bool, tls_cert: Path | None, tls_key: Path | None, tls_client_ca: Path | None, as_json: bool
) -> None:
    """Check a safe for problems and suggest fixes: files and their modes, keys, database, log, clock, TLS.

    The command changes nothing and may run beside the server. It exits with 1 if a check failed.
    """
    safe = Examination(data, thorough=not quick, tls=(tls_cert, tls_key, tls_client_ca))
    with ExitStack() as stack:

        def rows(_: Examination) -> Iterable[Finding]:
            """Take a snapshot of the rows of a PostgreSQL database for the other checks."""
            nonlocal safe
            address = safe.directory.address
            if address is not None:
                safe = replace(safe, address=address)
                safe = replace(safe, snapshot=stack.enter_context(snapshot(address)))
            return ()

        findings = [finding for check in (rows, *_CHECKS) for finding in _findings(check, safe)]
    failed = any(finding.state is State.FAILED for finding in findings)
    if as_json:
        show_json({"data": str(data), "healthy": not failed, "findings": [finding.as_json() for finding in findings]})
    else:
        show_table(
            ("state", "what", "found"),
            [[finding.state, finding.what, finding.found] for finding in findings],
            coloured=0,
        )
        for finding in findings:
            if finding.advice:
                say(f"{finding.what}: {finding.advice}")
    sys.exit(int(failed))


def _findings(check: Callable[[Examination], Iterable[Finding]], safe: Examination) -> list[Finding]:
    """Run one check. If the check itself fails, return the failure as a finding."""
    try:
        return list(check(safe))
    except OSError as error:
        message = describe_os_error(error)
    except NightsafeError as error:
        message = in_words_of_commands(error.problems[0].detail)
    except click.ClickException as error:
        message = error.message
    return [Finding(State.FAILED, check.__name__.replace("_", " "), message)]
