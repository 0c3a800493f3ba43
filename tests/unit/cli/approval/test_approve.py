"""`nightsafe approve` against a server that lies."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from nightsafe.bundle.approvals.approval import MAX_AHEAD, Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.manifest import Covers, Manifest, ManifestBinding, ManifestModule
from nightsafe.cli.approval import built_modules, earlier_approvals
from nightsafe.cli.approval.built_modules import Expected, check_changes
from nightsafe.cli.approval.changes import changes
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
    found = earlier_approvals.fetch_approvals(remote, (ALICE.id,))
    return earlier_approvals.last_approved(remote, found)[0]


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
        earlier_approvals.fetch_manifest(server(good=replace(GOOD, **change)), "good")


def test_what_is_no_manifest_is_refused() -> None:
    """A manifest with settings that are no object is refused, and not shown in part."""
    with pytest.raises(NightsafeError, match="no manifest"):
        earlier_approvals.fetch_manifest(server(good=replace(GOOD, settings="[]")), "good")
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
    """An approval that would be older than an earlier one is not made: delivery would not take it.

    One that is dated over an hour ahead has no effect, so it does not count here either.
    """
    now = time.time_ns() // 1000
    late, ahead, early = (Approval.sign(GOOD, at, BOB) for at in (now + MAX_AHEAD // 2, 1 << 52, 1))
    with pytest.raises(CommandError, match="set the clock"):
        earlier_approvals.time_after([("good", late)])
    assert earlier_approvals.time_after([("good", ahead), ("good", early)]) >= now


def test_values_that_are_not_those_approved_are_a_difference() -> None:
    """If the server has another value under the approved version, the comparison does not say "no difference"."""
    secret = ManifestBinding(name="S", kind="secret_text", shown="{}", value=b"approved")
    before = replace(GOOD, bindings=(secret,))
    after = replace(GOOD, bindings=(replace(secret, value=b"exchanged"),))
    remote = server(("good", Approval.sign(before, 1, ALICE)), good=after)
    base, approval = earlier_approvals.last_approved(remote, earlier_approvals.fetch_approvals(remote, (ALICE.id,)))

    assert after == base
    assert [("changed", "value", "(any)")] == [one[:3] for one in changes(base, after, approval)]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"modules": (ManifestModule("m.js", "text/javascript", b"\2" * 32),)}, ""),
        ({"modules": (*GOOD.modules, ManifestModule("n.txt", "text/plain", b"\2" * 32))}, ""),
        ({"modules": (*GOOD.modules, ManifestModule("n.txt", "application/javascript", b"\2" * 32))}, "'n.txt'"),
        ({"modules": (ManifestModule("m.js", "text/plain", b"\1" * 32),)}, "'m.js'"),
        ({"modules": ()}, "module 'm.js'"),
        ({"main_module": "n.js"}, "main module"),
        ({"settings": '{"a":1}'}, "setting 'a'"),
        ({"bindings": (ManifestBinding(name="B", kind="plain_text", shown="{}"),)}, "binding 'B'"),
    ],
)
def test_a_machine_approves_only_what_was_built(tmp_path: Path, change: dict[str, Any], refused: str) -> None:
    """With --modules and --yes, only contents of modules may differ from the last approved version.

    Everything else needs a person, or its name in --allow. So the same files cannot be used in another way.
    """
    (tmp_path / "m.js").write_bytes(b"")
    version = replace(GOOD, **change)
    found = changes(GOOD, version)
    if not refused:
        check_changes(GOOD, found, Expected(tmp_path, frozenset(), None))
        return
    with pytest.raises(NightsafeError, match=refused):
        check_changes(GOOD, found, Expected(tmp_path, frozenset(), None))
    check_changes(GOOD, found, Expected(tmp_path, frozenset(one.name for one in found), None))


def test_a_machine_approves_values_only_if_they_need_no_approval(tmp_path: Path) -> None:
    """Another value is refused unless the rule is known to cover only code; so is a first version."""
    secret = ManifestBinding(name="S", kind="secret_text", shown="{}", value=b"1")
    base = replace(GOOD, bindings=(secret,))
    found = changes(base, replace(base, bindings=(replace(secret, value=b"2"),)))

    check_changes(base, found, Expected(tmp_path, frozenset(), Covers.CODE))
    for covers in (None, Covers.VALUES):
        with pytest.raises(NightsafeError, match="value 'S'"):
            check_changes(base, found, Expected(tmp_path, frozenset(), covers))
    with pytest.raises(NightsafeError, match="no version was approved before"):
        check_changes(None, changes(None, base), Expected(tmp_path, frozenset(), Covers.CODE))


def test_a_module_cannot_lead_out_of_the_directory(tmp_path: Path) -> None:
    """A module whose name leads elsewhere is refused."""
    module = replace(GOOD.modules[0], name="../outside.js")
    with pytest.raises(NightsafeError, match="leads out of"):
        built_modules.check_modules(replace(GOOD, modules=(module,)), tmp_path)
