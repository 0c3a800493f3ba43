"""`nightsafe approve`: signs that a version of a script may be served."""

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import click
import msgspec

from nightsafe.cli.approval.changes import HEAD, Change, changes
from nightsafe.cli.settings.options import FILE, json_option, option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import checked_name, remote_options
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json, show_table
from nightsafe.cli.version import find_version, short_id
from nightsafe.client import NotFoundError
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.bundle.approvals.approval import Approval
    from nightsafe.bundle.approvals.approver_key import ApproverKey
    from nightsafe.bundle.approvals.manifest import Manifest

_SECOND: Final = 1_000_000


@click.command("approve")
@click.argument("script", metavar="SCRIPT", callback=checked_name)
@click.argument("version", metavar="[VERSION]", required=False)
@option("--approver-key", "File of your key, which `nightsafe approver create` made; mode 0600.", type=FILE)
@option("--approvers", "Approvers file; approvals by its keys count in the comparison, like your own.", type=FILE)
@click.option(
    "--modules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Refuse unless each module equals the file of its name in this directory.",
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
    yes: bool,
    as_json: bool,
) -> None:
    """Approve a version of a script, by default the newest, for delivery processes with an approvers file.

    The command shows the changes since the last version that you, or a key in --approvers, have approved. It computes
    the digest that it signs from the parts that it shows, and never signs a digest that the server names.
    """
    from nightsafe.bundle.approvals.approval import Approval
    from nightsafe.bundle.approvals.approver_key import ApproverKey

    if approver_key is None:
        raise click.UsageError("--approver-key is missing: create a key with: nightsafe approver create FILE")
    key = ApproverKey.load(approver_key)
    manifest = _manifest(remote, find_version(remote, version).id if version else None)
    if modules is not None:
        _check_modules(manifest, modules)
    own, all_approvals = _approvals(remote, key, approvers)
    base = _last_approved(remote, own)
    found = changes(base, manifest)
    if not as_json:
        _show(manifest, base, found)
    confirm(f"Approve version {manifest.number} ({short_id(manifest.version)}) of {remote.script}?", yes=yes)
    approval = Approval.sign(manifest, _time_after(all_approvals), key)
    body = {"version": manifest.version, "approval": msgspec.to_builtins(approval)}
    remote.client.request("POST", _path(remote), body=body)
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


def _path(remote: Remote) -> str:
    """Return the path of a script's approvals."""
    return f"/accounts/{remote.account_id}/nightsafe/approvals/{quote(remote.script, safe='')}"


def _manifest(remote: Remote, version: str | None) -> "Manifest":
    """Return the manifest of a version (default: the newest); refuse the manifest of anything else.

    Raises:
        CommandError: if the server sends something else.
        NightsafeError: INVALID, if that is no manifest.
    """
    from nightsafe.bundle.approvals.manifest import parse_manifest

    query = {} if version is None else {"version": version}
    manifest = parse_manifest(remote.client.request("GET", f"{_path(remote)}/manifest", query=query))
    place = (manifest.account_id, manifest.namespace, manifest.script)
    if place != (remote.account_id, "", remote.script) or version not in {None, manifest.version}:
        raise CommandError("the server sent the manifest of another script or version: nothing was approved")
    return manifest


def _approvals(
    remote: Remote, key: "ApproverKey", approvers: Path | None
) -> tuple[list[tuple[str, "Approval"]], list["Approval"]]:
    """Return the approvals that count in the comparison with their versions, and all approvals, newest first."""
    from nightsafe.bundle.approvals.approval import Approval
    from nightsafe.bundle.approvals.approvers import Approvers

    trusted = {key.id} if approvers is None else {key.id, *Approvers.load(approvers).all_key_ids()}
    try:
        answers = [
            (str(answer["version"]), msgspec.convert(answer["approval"], Approval))
            for answer in remote.client.request("GET", _path(remote))
        ]
    except (msgspec.ValidationError, KeyError, TypeError):
        raise CommandError("the server sent a list of approvals that this program does not understand") from None
    valid = [(version, approval) for version, approval in answers if approval.is_valid()]
    return [one for one in valid if one[1].key in trusted], [approval for _, approval in valid]


def _last_approved(remote: Remote, approvals: Sequence[tuple[str, "Approval"]]) -> "Manifest | None":
    """Return the manifest of the version that was approved last, if it is what was approved; else None.

    The server cannot name another version as the approved one, so it cannot hide a change.
    """
    from nightsafe.bundle.approvals.manifest import Covers

    for version, approval in sorted(approvals, key=lambda one: one[1].made_at, reverse=True):
        try:
            manifest = _manifest(remote, version)
        except NotFoundError:
            continue
        if approval.approves(manifest, Covers.CODE):
            return manifest
    return None


def _time_after(approvals: Sequence["Approval"]) -> int:
    """Return the time in microseconds, which must be after every approval of the script.

    Raises:
        CommandError: if this machine's clock is behind an earlier approval.
    """
    now = time.time_ns() // 1000
    latest = max((approval.made_at for approval in approvals), default=0)
    if now <= latest:
        raise CommandError(
            f"an earlier approval of the script is dated {(latest - now) // _SECOND + 1} s after this machine's time;"
            " set the clock of the machine that is wrong"
        )
    return now


def _show(manifest: "Manifest", base: "Manifest | None", found: Sequence[Change]) -> None:
    """Show an approver what they are about to approve."""
    before = "no version that you have approved: every part is listed" if base is None else f"version {base.number}"
    say(f"version {manifest.number} ({manifest.version}) of {manifest.script}, compared with {before}")
    if found:
        show_table(HEAD, [list(change) for change in found], coloured=0)
    else:
        say("no difference")


def _check_modules(manifest: "Manifest", folder: Path) -> None:
    """Refuse a version with a module that differs from the file of its name in a directory.

    Raises:
        NightsafeError: INVALID, with the first such module.
    """
    for module in manifest.modules:
        if sha256(_read(folder, module.name)).digest() != module.digest:
            raise _differs(module.name, f"differs from the file in {folder}")


def _read(folder: Path, name: str) -> bytes:
    """Return the file of a module in a directory, never a file outside of it."""
    path = folder / name.lstrip("/")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise _differs(name, f"has a name that leads out of {folder}")
        return path.read_bytes()
    except (OSError, ValueError):
        raise _differs(name, f"is not in {folder}") from None


def _differs(name: str, problem: str) -> NightsafeError:
    """Return the refusal of a module."""
    return NightsafeError(Code.INVALID, f"the module {name!r} {problem}: nothing was approved")
