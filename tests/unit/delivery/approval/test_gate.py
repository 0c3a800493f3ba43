"""Which bundles pass, when an attacker has everything that the API process has."""

import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.approved import approved, approvers_file
from tests.proofs import stated

from nightsafe.bundle.approvals.approval import MAX_AHEAD
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Rule
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion
from nightsafe.bundle.signed import sign_bundle
from nightsafe.delivery.approval.gate import Gate
from nightsafe.delivery.cache.bundle_cache import WAITING, BundleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

API, ALICE, BOB = SigningKey.generate(), ApproverKey.generate(), ApproverKey.generate()
FIRST, SECOND = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "12")


def version(code: bytes = b"1", version_id: str = FIRST, share: float = 100.0, number: int = 1) -> BundleVersion:
    """Return a version with one module."""
    return BundleVersion(
        id=version_id,
        percentage=share,
        created_on="",
        main_module="m.js",
        number=number,
        modules=(BundleModule("m.js", "application/javascript+module", code * 32),),
    )


def bundle(*versions: BundleVersion, script: str = "s", serial: int = 1, **members: object) -> Bundle:
    """Return a bundle with everything that the API signs."""
    return stated(replace(Bundle(account_id="a", script=script, serial=serial, versions=versions), **members), API)


class Delivery:
    """A bundle cache behind a gate."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "approvers.json"
        self.serials = Serials(folder / "marks.json")
        self.gate = Gate(self.file, "a", self.serials)
        self.cache = BundleCache("a", VerifyKeys([API.verify_key]), self.serials, self.gate)

    def take(self, offered: Bundle) -> str:
        """Take a bundle as the follower does; return the version that is then served, or the refusal's message."""
        admitted = self.cache.admit(offered.script, sign_bundle(offered, API), 0)
        assert self.cache.take(admitted)
        self.cache.put(admitted)
        served = self.cache.get(offered.script)
        assert served is not None
        return served.loads[0].version.id if served.loads else str((served.refusal or {})["message"])


@pytest.fixture
async def delivery(tmp_path: Path) -> Delivery:
    """Return a delivery process that accepts ALICE's approvals."""
    approvers_file(tmp_path / "approvers.json", {"alice": ALICE})
    return Delivery(tmp_path)


async def test_an_approved_version_passes(delivery: Delivery) -> None:
    """A bundle with a listed key's approval of its version is served."""
    assert FIRST == delivery.take(approved(bundle(version()), ALICE))


async def test_what_the_api_signs_alone_does_not_pass(delivery: Delivery) -> None:
    """With the API's signing key, an attacker cannot have other code served: it has no approval."""
    delivery.take(good := approved(bundle(version()), ALICE))
    for stolen in (
        bundle(version(b"2"), serial=2),
        replace(bundle(version(b"2"), serial=2), approvals=good.approvals),
        approved(bundle(version(b"2"), serial=2), BOB),
        replace(
            bundle(version(b"2"), serial=2), approvals=approved(bundle(version(b"2"), script="t"), ALICE).approvals
        ),
        approved(bundle(version(), version(b"2", SECOND, 0, 2), serial=2), BOB),
        replace(bundle(version(), version(b"2", SECOND, 0, 2), serial=2), approvals=good.approvals),
    ):
        with pytest.raises(NightsafeError, match="no approver of the script has approved"):
            delivery.take(stolen)
    served = delivery.cache.get("s")
    assert served is not None
    assert [FIRST] == [load.version.id for load in served.loads]


async def test_a_key_counts_for_its_own_scripts_only(tmp_path: Path) -> None:
    """A key that may approve some scripts cannot approve others, and a script without a rule is never served."""
    rules = [Rule(glob="pay-*", keys=("alice",)), Rule(glob="dev-*", keys=("bob",))]
    approvers_file(tmp_path / "approvers.json", {"alice": ALICE, "bob": BOB}, rules)
    delivery = Delivery(tmp_path)

    assert FIRST == delivery.take(approved(bundle(version(), script="dev-1"), BOB))
    for script in ("pay-1", "other"):
        with pytest.raises(NightsafeError, match="no approver of the script has approved"):
            delivery.take(approved(bundle(version(), script=script), BOB))
    assert "no rule of" in delivery.gate.refusal_reason("other")
    assert not delivery.gate.refusal_reason("pay-1")


async def test_an_approval_that_is_dated_ahead_does_not_count(delivery: Delivery) -> None:
    """An approval dated over an hour ahead does not count, so it does not keep out every later one."""
    now = time.time_ns() // 1000
    with pytest.raises(NightsafeError, match="no approver of the script has approved"):
        delivery.take(approved(bundle(version()), ALICE, now + 2 * MAX_AHEAD))
    assert FIRST == delivery.take(approved(bundle(version()), ALICE, now))


async def test_scripts_can_be_left_out(tmp_path: Path) -> None:
    """A rule that covers nothing lets its scripts through without an approval."""
    rules = [Rule(glob="dev-*", covers=Covers.NOTHING), Rule(glob="*", keys=("alice",))]
    approvers_file(tmp_path / "approvers.json", {"alice": ALICE}, rules)
    delivery = Delivery(tmp_path)

    assert delivery.gate.wanted("dev-1") is None
    assert FIRST == delivery.take(bundle(version(), script="dev-1"))


async def test_an_earlier_approval_does_not_bring_a_version_back(tmp_path: Path, delivery: Delivery) -> None:
    """A version whose approval is older than those of the served versions is refused, also after a restart."""
    first, second = bundle(version()), bundle(version(b"2", SECOND, number=2), serial=2)
    assert FIRST == delivery.take(approved(first, ALICE, 10))
    assert SECOND == delivery.take(approved(second, ALICE, 20))
    await delivery.serials.flush()

    for process in (delivery, Delivery(tmp_path)):
        with pytest.raises(NightsafeError, match=f"approve it again: nightsafe approve s {FIRST}"):
            process.take(approved(replace(first, serial=3), ALICE, 10))
        wanted = process.gate.wanted("s")
        assert wanted is not None
        assert 20 == wanted.since
    assert FIRST == delivery.take(approved(replace(first, serial=3), ALICE, 30))


async def test_two_versions_side_by_side_keep_the_earlier_approval(delivery: Delivery) -> None:
    """While two versions share the requests, either may be served alone afterwards."""
    first, second = version(share=50.0), version(b"2", SECOND, 50.0, 2)
    approvals = (
        *approved(bundle(first), ALICE, 10).approvals,
        *approved(bundle(version(b"2", SECOND, number=2)), ALICE, 20).approvals,
    )
    assert FIRST == delivery.take(replace(bundle(first, second, serial=1), approvals=approvals))
    assert FIRST == delivery.take(replace(bundle(version(), serial=2), approvals=approvals))
    assert SECOND == delivery.take(replace(bundle(version(b"2", SECOND, number=2), serial=3), approvals=approvals))
    with pytest.raises(NightsafeError, match="approve it again"):
        delivery.take(replace(bundle(version(), serial=4), approvals=approvals))


async def test_a_script_that_waits_keeps_its_approved_version(delivery: Delivery) -> None:
    """When the API has no approved version to offer, the served one stays; another script of that name does not."""
    served = approved(bundle(version()), ALICE)
    empty = Bundle(account_id="a", script="s", serial=2, script_id=served.script_id, waiting=(SECOND,))
    assert FIRST == delivery.take(served)
    assert FIRST == delivery.take(empty)
    assert WAITING["message"] == delivery.take(replace(empty, serial=3, script_id="1" * 32))


async def test_a_script_that_was_never_approved_waits(delivery: Delivery) -> None:
    """Without any approval, requests get 503 with the reason."""
    waiting = Bundle(account_id="a", script="s", serial=1, script_id="0" * 32, waiting=(FIRST,))

    assert WAITING["message"] == delivery.take(waiting)


async def test_a_key_that_leaves_the_file_takes_its_approvals_along(delivery: Delivery) -> None:
    """After the file is read again, versions that only the removed key approved are neither served nor opened."""
    offered = approved(bundle(version()), ALICE)
    delivery.take(offered)
    approvers_file(delivery.file, {"bob": BOB})
    delivery.gate.reload()

    with pytest.raises(NightsafeError, match="no approver"):
        delivery.cache.check_approved(offered)
    (withdrawn,) = delivery.cache.withdraw_unapproved()
    assert (WAITING, ()) == (withdrawn.refusal, withdrawn.loads)
    assert [] == delivery.cache.withdraw_unapproved()
    assert FIRST == delivery.take(approved(replace(offered, approvals=()), BOB))


async def test_a_bundle_on_its_way_is_checked_again(delivery: Delivery) -> None:
    """A bundle that was admitted before the file changed is not served after it."""
    admitted = delivery.cache.admit("s", sign_bundle(approved(bundle(version()), ALICE), API), 0)
    approvers_file(delivery.file, {"bob": BOB})
    delivery.gate.reload()

    with pytest.raises(NightsafeError, match="no approver"):
        delivery.cache.put(admitted)
    assert delivery.cache.get("s") is None


async def test_a_damaged_file_changes_nothing(delivery: Delivery) -> None:
    """A file that cannot be used leaves the rules as they were."""
    delivery.file.write_text("{")
    delivery.gate.reload()

    assert FIRST == delivery.take(approved(bundle(version()), ALICE))


async def test_parts_that_are_not_text_are_refused(delivery: Delivery) -> None:
    """A signed bundle with parts that no manifest can have is refused, not an unforeseen error."""
    binding = BundleBinding("S", "secrets_store_secret", msgspec.Raw(b"[]"))
    offered = replace(bundle(version()), approvals=approved(bundle(version()), ALICE).approvals)
    broken = replace(offered, versions=(replace(offered.versions[0], bindings=(binding,)),))

    with pytest.raises(NightsafeError, match="no approver"):
        delivery.gate.admit(broken)
