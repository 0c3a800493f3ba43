"""`nightsafe approve` against a server that lies."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.manifest import Manifest, ManifestModule
from nightsafe.cli.approval import approve
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import NightsafeError

ALICE, BOB = ApproverKey.generate(), ApproverKey.generate()
GOOD = Manifest(
    account_id="a",
    namespace="",
    script="s",
    script_id="0",
    version="good",
    number=1,
    main_module="m.js",
    modules=(ManifestModule("m.js", "text/javascript", b"\1" * 32),),
    settings="{}",
    bindings=(),
)
BAD = replace(GOOD, version="bad", number=2, modules=(ManifestModule("m.js", "text/javascript", b"\2" * 32),))


def server(*approvals: tuple[str, Approval], **manifests: Manifest) -> Remote:
    """Return a server that sends these approvals with versions of its choice, and these manifests."""

    def request(_: str, path: str, *, query: dict[str, str] | None = None) -> Any:
        """Answer a request of the command."""
        if path.endswith("/manifest"):
            return msgspec.to_builtins(manifests[(query or {}).get("version", "newest")])
        return [{"version": version, "approval": msgspec.to_builtins(made)} for version, made in approvals]

    return cast("Remote", SimpleNamespace(account_id="a", script="s", client=SimpleNamespace(request=request)))


def last_approved(remote: Remote) -> Manifest | None:
    """Return the version that ALICE's command compares with."""
    own, _ = approve._approvals(remote, ALICE, None)
    return approve._last_approved(remote, own)


def test_the_comparison_is_with_a_version_that_was_approved() -> None:
    """The newest approved version is taken whose parts are those that the approval is about."""
    first, second = Approval.sign(GOOD, 1, ALICE), Approval.sign(BAD, 2, ALICE)

    assert GOOD == last_approved(server(("good", first), good=GOOD))
    assert BAD == last_approved(server(("good", first), ("bad", second), good=GOOD, bad=BAD))


def test_the_server_cannot_choose_what_a_version_is_compared_with() -> None:
    """An approval by another key, without its signature, or of another version does not count."""
    by_bob, of_good = Approval.sign(BAD, 1, BOB), Approval.sign(GOOD, 1, ALICE)
    forged = replace(Approval.sign(BAD, 1, BOB), public=ALICE.public)

    for version, made in (("bad", by_bob), ("bad", forged), ("bad", of_good)):
        assert last_approved(server((version, made), bad=BAD)) is None


@pytest.mark.parametrize("change", [{"script": "t"}, {"account_id": "b"}, {"namespace": "n"}, {"version": "other"}])
def test_another_manifest_is_refused(change: dict[str, str]) -> None:
    """The manifest of another script or version is refused."""
    with pytest.raises(CommandError, match="another script or version"):
        approve._manifest(server(good=replace(GOOD, **change)), "good")


def test_what_is_no_manifest_is_refused() -> None:
    """A manifest with settings that are no object is refused, and not shown in part."""
    with pytest.raises(NightsafeError, match="no manifest"):
        approve._manifest(server(good=replace(GOOD, settings="[]")), "good")
    with pytest.raises(CommandError, match="does not understand"):
        last_approved(
            cast(
                "Remote",
                SimpleNamespace(
                    account_id="a", script="s", client=SimpleNamespace(request=lambda *_: [{"version": "x"}])
                ),
            )
        )


def test_a_clock_behind_an_approval_is_refused() -> None:
    """An approval that would be older than an earlier one is not made: delivery would not take it."""
    late = Approval.sign(GOOD, 1 << 52, BOB)
    with pytest.raises(CommandError, match="set the clock"):
        approve._time_after([late])
    assert approve._time_after([Approval.sign(GOOD, 1, BOB)]) > 1


def test_a_module_cannot_lead_out_of_the_directory(tmp_path: Path) -> None:
    """A module whose name leads elsewhere is refused."""
    module = replace(GOOD.modules[0], name="../outside.js")
    with pytest.raises(NightsafeError, match="leads out of"):
        approve._check_modules(replace(GOOD, modules=(module,)), tmp_path)
