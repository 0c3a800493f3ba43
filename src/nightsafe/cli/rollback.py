"""`nightsafe rollback`: deploys an earlier version of a script."""

from typing import Final

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.confirm import confirm, is_interactive, yes_option
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.times import display_time
from nightsafe.cli.version import find_version, number_of
from nightsafe.client import BadRequestError, Deployment, Version, omit

_SECRETS_CHANGED: Final = 10220
_NAMES_AFTER: Final = "The following secrets have changed:"
_ALL_PERCENT: Final = 100


@click.command("rollback")
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Go on even if secrets have changed since that version was served.")
@click.option("--message", metavar="NOTE", default="", help="The reason, stored with the deployment.")
@yes_option
@script_options
@json_option
def command(  # noqa: PLR0913 - one for each option
    *, remote: Remote, version: str | None, force: bool, message: str, yes: bool, as_json: bool
) -> None:
    """Deploy one version to all requests: by default the version that was served before the current one.

    Name a version by its number, its ID, or the first characters of its ID. The version brings back the secrets that
    it had.
    """
    target = find_version(remote, version) if version else _previous_version(remote)
    description = f"version {number_of(target)} ({target.id}) of {remote.script}"
    created_on = display_time(target.metadata.created_on if target.metadata else None)
    confirm(f"Deploy {description}, created on {created_on}?", yes=yes)
    deployment = _deploy(remote, target, message, force=force)
    if as_json:
        show_json({"script": remote.script, "version_id": target.id, "deployment_id": deployment.id})
    else:
        say(f"Deployed {description}")


def _deploy(remote: Remote, version: Version, message: str, *, force: bool) -> Deployment:
    """Deploy a version. If secrets have changed since, do so only with `--force` or after a confirmation."""
    try:
        return _create_deployment(remote, version, message, force=force)
    except BadRequestError as error:
        changed = [problem.message for problem in error.errors if problem.code == _SECRETS_CHANGED]
        if force or not changed or not is_interactive():
            raise
    names = changed[0].partition(_NAMES_AFTER)[2].strip() or "some"
    confirm(f"These secrets have changed since then: {names}. Bring their old values back?", yes=False)
    return _create_deployment(remote, version, message, force=True)


def _create_deployment(remote: Remote, version: Version, message: str, *, force: bool) -> Deployment:
    """Create the deployment."""
    return remote.client.workers.scripts.deployments.create(
        remote.script,
        account_id=remote.account_id,
        strategy="percentage",
        versions=[{"percentage": _ALL_PERCENT, "version_id": version.id}],
        annotations={"workers/message": message or f"Rollback to {version.id}"},
        force=True if force else omit,
    )


def _previous_version(remote: Remote) -> Version:
    """Return the last version before the current deployment that was served to all requests.

    Raises:
        CommandError: if there is no such version.
    """
    deployments = remote.client.workers.scripts.deployments.list(remote.script, account_id=remote.account_id)
    current: set[str] | None = None
    for deployment in deployments:
        version_ids = {version.version_id for version in deployment.versions}
        if current is None:
            current = version_ids
        elif len(version_ids) == 1 and version_ids != current:
            return remote.client.workers.scripts.versions.get(version_ids.pop(), **remote.script_arguments)
    raise CommandError(f"no other version of {remote.script} was deployed before; name a version", NOT_FOUND)
