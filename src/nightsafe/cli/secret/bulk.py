"""`nightsafe secret bulk`: puts and deletes the secrets listed in a file."""

import click

from nightsafe.cli.secret.losses import confirm_all
from nightsafe.cli.secret.sources.declared import MAX_OPERATIONS, read_declared
from nightsafe.cli.secret.writing import FingerprintOptions, put_options, write
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json


@click.command("bulk")
@click.argument("file", type=click.Path(allow_dash=True))
@put_options
def command(
    *,
    remote: Remote,
    file: str,
    yes: bool,
    fingerprints: FingerprintOptions,
    as_json: bool,
) -> None:
    """Put and delete the secrets listed in a file, as one version, all or nothing. `-` is standard input.

    The file is a JSON object of names and strings, in which null deletes a secret, or a `.env` file, which is read as
    wrangler reads it.
    """
    key = fingerprints.key()
    declared = read_declared(file)
    if len(declared) > MAX_OPERATIONS:
        raise CommandError(
            f"{len(declared)} changes, but one version takes at most {MAX_OPERATIONS}; nothing was sent. "
            "`nightsafe secret apply` makes the same changes in several versions"
        )
    confirm_all(remote, declared, yes=yes)
    write(remote, declared, key)
    put = [name for name, fields in declared.items() if fields is not None]
    deleted = [name for name, fields in declared.items() if fields is None]
    if as_json:
        show_json({"script": remote.script, "put": put, "deleted": deleted})
    else:
        say(f"{remote.script}: {len(put)} put, {len(deleted)} deleted")
