"""`nightsafe approve`: signs that a version of a script may be served."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from nightsafe.cli.approval.built_modules import Expected, check_changes, check_modules
from nightsafe.cli.approval.changes import HEAD, Change, changes
from nightsafe.cli.approval.earlier_approvals import (
    approvals_path,
    fetch_approvals,
    fetch_manifest,
    last_approved,
    terms_of,
    time_after,
)
from nightsafe.cli.settings.options import FILE, json_option, option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import checked_name, remote_options
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.output import say, show_json, show_table
from nightsafe.cli.version import find_version, short_id

if TYPE_CHECKING:
    from nightsafe.bundle.approvals.manifest import Manifest


@click.command("approve")
@click.argument("script", metavar="SCRIPT", callback=checked_name)
@click.argument("version", metavar="[VERSION]", required=False)
@option("--approver-key", "File of your key, which `nightsafe approver create` made; mode 0600.", type=FILE)
@option("--approvers", "Approvers file of the delivery processes; the approvals by its keys count too.", type=FILE)
@click.option(
    "--modules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Refuse unless each module equals the file of its name in this directory. With --yes, refuse other changes.",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="With --modules and --yes, allow this change. Repeatable.",
)
@yes_option
@remote_options
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    version: str | None,
    approver_key: Path | None,
    approvers: Path | None,
    modules: Path | None,
    allowed: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Approve a version of a script, by default the newest, for delivery processes with an approvers file.

    The command shows the changes since the last version that you have approved, or, with --approvers, that any key of
    the rule for the script has approved. It computes the digest that it signs from the parts that it shows, and never
    signs a digest that the server names.
    """
    from nightsafe.bundle.approvals.approval import Approval
    from nightsafe.bundle.approvals.approver_key import ApproverKey

    if approver_key is None:
        raise click.UsageError("--approver-key is missing: create a key with: nightsafe approver create FILE")
    key = ApproverKey.load(approver_key)
    terms = terms_of(remote.script, key, approvers)
    manifest = fetch_manifest(remote, None if version is None else find_version(remote, version).id)
    if modules is not None:
        check_modules(manifest, modules)
    approvals = fetch_approvals(remote, terms.keys)
    base, approved = last_approved(remote, approvals)
    found = changes(base, manifest, approved)
    if not as_json:
        _show(manifest, base, found)
    if modules is not None and yes:
        check_changes(base, found, Expected(modules, frozenset(allowed), terms.covers))
    confirm(f"Approve version {manifest.number} ({short_id(manifest.version)}) of {remote.script}?", yes=yes)
    approval = Approval.sign(manifest, time_after(approvals), key)
    body = {"version": manifest.version, "approval": msgspec.to_builtins(approval)}
    remote.client.request("POST", approvals_path(remote), body=body)
    if as_json:
        show_json(
            {
                "script": remote.script,
                "version": manifest.version,
                "key": key.id,
                "compared_with": base and base.version,
                "changes": [change._asdict() for change in found],
            }
        )
    else:
        say(f"approved version {manifest.number} of {remote.script} with the key {key.id}")


def _show(manifest: "Manifest", base: "Manifest | None", found: Sequence[Change]) -> None:
    """Show an approver what they are about to approve."""
    before = "no version that you have approved: every part is listed" if base is None else f"version {base.number}"
    say(f"version {manifest.number} ({manifest.version}) of {manifest.script}, compared with {before}")
    if found:
        show_table(HEAD, [list(change) for change in found], coloured=0)
    else:
        say("no difference")
