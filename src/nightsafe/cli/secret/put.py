"""`nightsafe secret put`: puts one secret."""

from pathlib import Path

import click

from nightsafe.cli.secret.losses import confirm_put
from nightsafe.cli.secret.sources.declared import check_declared, text_fields
from nightsafe.cli.secret.sources.prompt import read_value
from nightsafe.cli.secret.writing import FingerprintOptions, put_options, write
from nightsafe.cli.settings.options import FILE
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import secret_argument
from nightsafe.cli.terminal.output import say, show_json

_NEVER = (
    "a value is never an argument: others see it in the list of processes, and the shell keeps it in its history. "
    "Give it on standard input, with --from-file, or at the prompt. If you just typed one, it is exposed: replace it"
)


@click.command("put")
@secret_argument
@click.argument("never", metavar="", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--from-file",
    type=FILE,
    help="Read the value from a file.  [default: standard input, or a prompt]",
)
@click.option("--exact", is_flag=True, help="Keep line breaks at the end of the value.")
@click.option("--allow-empty", is_flag=True, help="Put an empty value.")
@put_options
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    secret_name: str,
    never: tuple[str, ...],
    from_file: Path | None,
    exact: bool,
    allow_empty: bool,
    yes: bool,
    fingerprints: FingerprintOptions,
    as_json: bool,
) -> None:
    """Put one secret. This creates a new version of the script and deploys it.

    The value comes from standard input, a file, or a prompt that does not show it, and never from an argument.
    """
    if never or "=" in secret_name:
        raise click.UsageError(_NEVER)
    key = fingerprints.key()
    script = remote.script
    fields = text_fields(read_value(secret_name, from_file, exact=exact, allow_empty=allow_empty))
    check_declared({secret_name: fields}, "the value")
    confirm_put(remote, secret_name, fields, yes=yes)
    write(remote, {secret_name: fields}, key)
    if as_json:
        show_json({"script": script, "name": secret_name, "type": "secret_text"})
    else:
        say(f"Put {secret_name} of {script}")
