"""`nightsafe migrate`: brings over a safe that is older than its transparency log."""

from pathlib import Path

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import step_bar
from nightsafe.services.audit.older_rows import count_scripts, every_script, state_script
from nightsafe.store.sqlite import SqliteStore


@click.command("migrate")
@data_option
@click.option("--status", is_flag=True, help="Only show how much is older than the log.")
@yes_option
@json_option
def command(data: Path, *, status: bool, yes: bool, as_json: bool) -> None:
    """State in the log what was written before the safe had a log.

    Delivery takes only what was signed when it was written. What an older version of Nightsafe wrote is signed as it
    is when it is first delivered, until this command has signed the rest of it. The command can run beside a server;
    restart the server afterwards.
    """
    if as_json and not (status or yes):
        raise click.UsageError("--json asks no question: give --yes too")
    directory = DataDirectory(data)
    with recover_and_share(directory.path):
        key = directory.load_identity_key()
        total, older = directory.run_unlocked(count_scripts)
        state = {"scripts": total, "older": older, "open": key.states_older_rows}
        if status or not (older or key.states_older_rows):
            _report(state, as_json=as_json)
            return
        if not key.states_older_rows:
            say("This safe was as old as its log, or has been brought over: something else has changed its database.")
            confirm(f"Sign the code, settings and bindings of {older} scripts as they are now?", yes=yes)
            directory.accept_older_rows()

        async def work(store: SqliteStore) -> int:
            """State everything, with a progress bar."""
            scripts = [ref async for ref in every_script(store)]
            with step_bar(scripts, "Scripts") as steps:
                return sum([await state_script(store, ref) for ref in steps])

        statements = directory.run_unlocked(work)
        directory.refuse_older_rows()
        _report(state | {"older": 0, "open": False, "statements": statements}, as_json=as_json)


def _report(state: dict[str, int], *, as_json: bool) -> None:
    """Print how far the safe is."""
    if as_json:
        show_json(state)
    elif state["open"]:
        say(
            f"{state['older']} of {state['scripts']} scripts serve what is older than the log: run nightsafe migrate."
        )
    elif state["older"]:
        say(f"{state['older']} of {state['scripts']} scripts were changed by something other than Nightsafe.")
    else:
        say(f"Everything that {state['scripts']} scripts serve is in the log.")
