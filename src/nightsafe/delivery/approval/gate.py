"""Lets only approved versions through, by the rules of the approvers file."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from nightsafe.bundle.approvals.approval import Approval, ApprovedBy, is_ahead
from nightsafe.bundle.approvals.approvers import Approvers
from nightsafe.bundle.approvals.bundled import manifest_of
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.bundle.statements import ScriptIdentity
from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()


class Gate:
    """The rules for one account's scripts.

    The API chooses which approvals it sends, so the gate trusts nothing but their signatures. It remembers in the
    marks file when the versions that it admitted were approved, and admits no version whose approval is older. So
    the API cannot go back to a version that an approver has since replaced.

    Args:
        path: the approvers file.
        account_id: the account.
        serials: keeps the times of approvals.

    Raises:
        NightsafeError: INVALID, when the file cannot be used.
    """

    def __init__(self, path: Path, account_id: str, serials: Serials) -> None:
        self._path: Final = path
        self._account_id: Final = account_id
        self._serials: Final = serials
        self._approvers = Approvers.load(path)

    def reload(self) -> None:
        """Read the file again. A file that cannot be used changes nothing."""
        try:
            self._approvers = Approvers.load(self._path)
        except NightsafeError as error:
            _log.error("approvers.refused", reason=error.problems[0].detail)

    def wanted(self, script: str) -> ApprovedBy | None:
        """Return the approvals that count for a script; None for a script that needs none."""
        rule = self._approvers.rule_for(script)
        if rule.covers is Covers.NOTHING:
            return None
        since = self._serials.approved_at(self._account_id, script)
        return ApprovedBy(self._approvers.key_ids(rule), rule.covers, since)

    def covers_values(self, script: str) -> bool:
        """Return True if the approvals of a script must cover its values."""
        return self._approvers.rule_for(script).covers is Covers.VALUES

    def check(self, bundle: Bundle) -> None:
        """Refuse a bundle with a version that no listed key has approved, whenever it was approved.

        Raises:
            NightsafeError: CANNOT_OPEN, with the first such version.
        """
        if (wanted := self.wanted(bundle.script)) is not None:
            _least_time(bundle, ApprovedBy(wanted.keys, wanted.covers))

    def admit(self, bundle: Bundle) -> None:
        """Refuse a bundle as `check` does, and one whose approvals are older than those of versions served before.

        Raises:
            NightsafeError: CANNOT_OPEN, with the first such version.
        """
        if (wanted := self.wanted(bundle.script)) is not None:
            _least_time(bundle, wanted)

    def remember(self, bundle: Bundle) -> None:
        """Remember when the versions of an admitted bundle were approved."""
        wanted = self.wanted(bundle.script)
        if wanted is not None and bundle.versions:
            self._serials.raise_approved_at(self._account_id, bundle.script, _least_time(bundle, wanted))

    def refusal_reason(self, script: str) -> str:
        """Return why no version of a script can be approved; "" if one can."""
        wanted = self.wanted(script)
        if wanted is None or wanted.keys:
            return ""
        return f"no rule of {self._path} matches the script, so no version of it is served; add a rule"


def _least_time(bundle: Bundle, wanted: ApprovedBy) -> int:
    """Return when the versions of a bundle were approved: the earliest time of all versions."""
    script = ScriptIdentity(bundle.account_id, bundle.namespace, bundle.script, bundle.script_id)
    times = (_approved_at(script, version, bundle.approvals, wanted) for version in bundle.versions)
    return min(times, default=wanted.since)


def _approved_at(
    script: ScriptIdentity, version: BundleVersion, approvals: Iterable[Approval], wanted: ApprovedBy
) -> int:
    """Return the time of a version's newest approval by a listed key; refuse a version without one."""
    try:
        manifest = manifest_of(script, version)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise _refusal(version.id) from None
    now = time.time_ns() // 1000
    times = [
        approval.made_at
        for approval in approvals
        if approval.key in wanted.keys
        and not is_ahead(approval.made_at, now)
        and approval.approves(manifest, wanted.covers)
        and approval.is_valid()
    ]
    newest = max(times, default=-1)
    if newest < 0:
        raise _refusal(version.id)
    if newest < wanted.since:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            f"the API offers the version {version.id}, which was approved before the versions that are served; if it"
            f" is to come back, approve it again: nightsafe approve {script.name} {version.id}",
        )
    return newest


def _refusal(version_id: str) -> NightsafeError:
    """Return the refusal of a version."""
    return NightsafeError(
        Code.CANNOT_OPEN, f"the API offers the version {version_id}, which no approver of the script has approved"
    )
