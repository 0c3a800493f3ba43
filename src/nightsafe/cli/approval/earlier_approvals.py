"""Finds the earlier approvals of a script that count for an approver."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import msgspec

from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.client import NotFoundError

if TYPE_CHECKING:
    from nightsafe.bundle.approvals.approval import Approval
    from nightsafe.bundle.approvals.approver_key import ApproverKey
    from nightsafe.bundle.approvals.manifest import Covers, Manifest

_SECOND: Final = 1_000_000


class Terms(NamedTuple):
    """What an approver knows about the approvals that delivery accepts for a script.

    Attributes:
        keys: ids of the keys whose approvals count.
        covers: the parts that an approval must cover; None if that is not known.
    """

    keys: tuple[str, ...]
    covers: "Covers | None" = None


def terms_of(script: str, key: "ApproverKey", approvers: Path | None) -> Terms:
    """Return the terms for a script: those of an approvers file, or the approver's own key alone.

    Raises:
        CommandError: if the file does not let the key approve the script, or the script needs no approval.
    """
    from nightsafe.bundle.approvals.approvers import Approvers
    from nightsafe.bundle.approvals.manifest import Covers

    if approvers is None:
        return Terms((key.id,))
    file = Approvers.load(approvers)
    rule = file.rule_for(script)
    if rule.covers is Covers.NOTHING:
        raise CommandError(f"{script} needs no approval: the rule for {rule.glob!r} in {approvers} covers nothing")
    if not rule.keys:
        raise CommandError(f"no rule of {approvers} matches {script}, so an approval of it has no effect")
    keys = file.key_ids(rule)
    if key.id not in keys:
        raise CommandError(
            f"the key {key.id} may not approve {script}: the rule for {rule.glob!r} in {approvers} names"
            f" {', '.join(rule.keys)}"
        )
    return Terms(keys, rule.covers)


def approvals_path(remote: Remote) -> str:
    """Return the path of a script's approvals."""
    return f"/accounts/{remote.account_id}/nightsafe/approvals/{quote(remote.script, safe='')}"


def fetch_manifest(remote: Remote, version: str | None) -> "Manifest":
    """Return the manifest of a version (default: the newest); refuse the manifest of anything else.

    Raises:
        CommandError: if the server sends something else.
        NightsafeError: INVALID, if that is no manifest.
    """
    from nightsafe.bundle.approvals.manifest import parse_manifest

    query = {} if version is None else {"version": version}
    manifest = parse_manifest(remote.client.request("GET", f"{approvals_path(remote)}/manifest", query=query))
    place = (manifest.account_id, manifest.namespace, manifest.script)
    if place != (remote.account_id, "", remote.script) or version not in {None, manifest.version}:
        raise CommandError("the server sent the manifest of another script or version: nothing was approved")
    return manifest


def fetch_approvals(remote: Remote, keys: Sequence[str]) -> list[tuple[str, "Approval"]]:
    """Return the approvals by some keys, newest first, each with the version that the server names.

    Raises:
        CommandError: if the server sends something else.
    """
    from nightsafe.bundle.approvals.approval import Approval

    try:
        answers = [
            (str(answer["version"]), msgspec.convert(answer["approval"], Approval))
            for answer in remote.client.request("GET", approvals_path(remote), query={"keys": ",".join(keys)})
        ]
    except (msgspec.ValidationError, KeyError, TypeError):
        raise CommandError("the server sent a list of approvals that this program does not understand") from None
    found = [(version, approval) for version, approval in answers if approval.key in keys and approval.is_valid()]
    return sorted(found, key=lambda one: one[1].made_at, reverse=True)


def last_approved(
    remote: Remote, approvals: Sequence[tuple[str, "Approval"]]
) -> "tuple[Manifest, Approval] | tuple[None, None]":
    """Return the manifest of the version that was approved last, if it is what was approved, and its approval.

    The server cannot name another version as the approved one, so it cannot hide a change of code, settings or
    bindings. Its values can have changed since.

    Args:
        remote: the script.
        approvals: as `fetch_approvals` returns them.
    """
    from nightsafe.bundle.approvals.manifest import Covers

    for version, approval in approvals:
        try:
            manifest = fetch_manifest(remote, version)
        except NotFoundError:
            continue
        if approval.approves(manifest, Covers.CODE):
            return manifest, approval
    return None, None


def time_after(approvals: Sequence[tuple[str, "Approval"]]) -> int:
    """Return the time in microseconds, which must be after every earlier approval that counts.

    Raises:
        CommandError: if this machine's clock is behind an earlier approval.
    """
    from nightsafe.bundle.approvals.approval import is_ahead

    now = time.time_ns() // 1000
    ahead = [approval for _, approval in approvals if is_ahead(approval.made_at, now)]
    if ahead:
        say(f"approvals that are dated over an hour after this machine's time do not count: {len(ahead)}")
    latest = max((approval.made_at for _, approval in approvals if approval not in ahead), default=0)
    if now <= latest:
        raise CommandError(
            f"an earlier approval of the script is dated {(latest - now) // _SECOND + 1} s after this machine's time;"
            " set the clock of the machine that is wrong, or wait"
        )
    return now
