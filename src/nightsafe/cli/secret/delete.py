"""`nightsafe secret delete`: deletes secrets of a script."""

import click

from nightsafe.cli.completing import complete_secrets
from nightsafe.cli.secret.sources.declared import MAX_OPERATIONS
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import checked_name, script_options
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.suggestions import did_you_mean


def _check_names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check names and drop duplicates."""
    for name in value:
        checked_name(context, parameter, name)
    return tuple(dict.fromkeys(value))


@click.command("delete")
@click.argument(
    "secret_names", metavar="NAME...", nargs=-1, required=True, callback=_check_names, shell_complete=complete_secrets
)
@yes_option
@script_options
@json_option
def command(*, remote: Remote, secret_names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete secrets, all or none. This creates a new version of the script and deploys it."""
    script, names = remote.script, ", ".join(secret_names)
    confirm(f"Delete {names} of {script}?", yes=yes)
    if len(secret_names) == 1:
        remote.client.workers.scripts.secrets.delete(secret_names[0], **remote.script_arguments)
    else:
        _delete_all(remote, secret_names)
    if as_json:
        show_json({"script": script, "deleted": list(secret_names)})
    else:
        say(f"Deleted {names} of {script}")


def _delete_all(remote: Remote, names: tuple[str, ...]) -> None:
    """Delete several secrets in one request. Check first that all exist, because the request ignores missing ones."""
    if len(names) > MAX_OPERATIONS:
        raise CommandError(f"one version takes at most {MAX_OPERATIONS} changes; name fewer at a time")
    secrets = remote.client.workers.scripts.secrets
    existing = {secret.name for secret in secrets.list(remote.script, account_id=remote.account_id)}
    missing = [name for name in names if name not in existing]
    if missing:
        suggestions = "".join(f"; {suggestion}" for name in missing if (suggestion := did_you_mean(name, existing)))
        raise CommandError(
            f"{remote.script} has no secret {', '.join(missing)}; nothing was deleted{suggestions}", NOT_FOUND
        )
    secrets.bulk_update(remote.script, account_id=remote.account_id, secrets=dict.fromkeys(names))
