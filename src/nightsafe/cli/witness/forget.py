"""`nightsafe audit witness forget`: makes a witness forget a log."""

from pathlib import Path

import click

from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.cli.witness.folder import WitnessFolder, folder_option


@click.command("forget")
@folder_option
@click.argument("origin")
@yes_option
def command(*, folder: Path, origin: str, yes: bool) -> None:
    """Forget the last checkpoint of a log, by the log's origin.

    After an intended restore the log no longer continues what the witness has cosigned, so the witness refuses it for
    ever. After this command it cosigns whatever the log shows first. The witness must be stopped.
    """
    place = WitnessFolder(folder)
    state = place.state(place.key())
    state.acquire()
    try:
        last = state.last(origin)
        if last is None:
            raise CommandError(
                f"the witness has cosigned no checkpoint of {origin}; a checkpoint's first line is its log's origin"
            )
        confirm(f"Forget {origin}, cosigned last at {last.size} entries, and cosign any log of this name?", yes=yes)
        state.forget(origin)
    finally:
        state.release()
    say(f"The witness has forgotten {origin}.")
