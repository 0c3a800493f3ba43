"""`nightsafe rollback`."""

from typing import Final

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.confirm import confirm, is_interactive, yes_option
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.times import shown
from nightsafe.cli.version import find_version, number_of
from nightsafe.client import BadRequestError, Deployment, Version, omit

_SECRETS_CHANGED: Final = 10220
_NAMES_AFTER: Final = "The following secrets have changed:"
_WHOLE: Final = 100


@click.command("rollback")
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Also when secrets have changed since the version was served.")
@click.option("--message", metavar="NOTE", default="", help="Why; kept with the deployment.")
@yes_option
@script_options
@json_option
def command(  # noqa: PLR0913 - the options
    *, remote: Remote, version: str | None, force: bool, message: str, yes: bool, as_json: bool
) -> None:
    """Serve one version alone: by default the one that was served before the present one.

    A version is named by its number, its id, or the first letters of that. It brings back the secrets that it had.
    """
    wanted = find_version(remote, version) if version else _before(remote)
    what = f"version {number_of(wanted)} ({wanted.id}) of {remote.script}"
    made_on = shown(wanted.metadata.created_on if wanted.metadata else None)
    confirm(f"Serve {what}, made on {made_on}?", yes=yes)
    deployment = _deploy(remote, wanted, message, force=force)
    if as_json:
        show_json({"script": remote.script, "version_id": wanted.id, "deployment_id": deployment.id})
    else:
        say(f"{what} is served")


def _deploy(remote: Remote, version: Version, message: str, *, force: bool) -> Deployment:
    """Serve it; when secrets have changed, only if that is forced or agreed to."""
    try:
        return _ask_for(remote, version, message, force=force)
    except BadRequestError as error:
        changed = [one.message for one in error.errors if one.code == _SECRETS_CHANGED]
        if force or not changed or not is_interactive():
            raise
    names = changed[0].partition(_NAMES_AFTER)[2].strip() or "some"
    confirm(f"Secrets have changed since then: {names}. Bring their old values back?", yes=False)
    return _ask_for(remote, version, message, force=True)


def _ask_for(remote: Remote, version: Version, message: str, *, force: bool) -> Deployment:
    """The deployment."""
    return remote.client.workers.scripts.deployments.create(
        remote.script,
        account_id=remote.account_id,
        strategy="percentage",
        versions=[{"percentage": _WHOLE, "version_id": version.id}],
        annotations={"workers/message": message or f"Rollback to {version.id}"},
        force=True if force else omit,
    )


def _before(remote: Remote) -> Version:
    """The version that was last served alone before what is served now.

    Raises:
        CommandError: when there was none.
    """
    deployments = remote.client.workers.scripts.deployments.list(remote.script, account_id=remote.account_id)
    now: set[str] | None = None
    for one in deployments:
        served = {version.version_id for version in one.versions}
        if now is None:
            now = served
        elif len(served) == 1 and served != now:
            return remote.client.workers.scripts.versions.get(served.pop(), **remote.place)
    raise CommandError(f"nothing else of {remote.script} was served before; name a version", NOT_FOUND)
