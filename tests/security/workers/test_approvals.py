"""The claims about approvals, against an attacker who has everything that the API process has."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.approved import approved, approvers_file, manifest
from tests.proofs import proven_record, stated

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Rule
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.bundle.signed import sign_bundle
from nightsafe.delivery.approval.gate import Gate
from nightsafe.delivery.cache.bundle_cache import BundleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.load.worker_code import build_load
from nightsafe.errors import NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

API, ALICE, BOB = SigningKey.generate(), ApproverKey.generate(), ApproverKey.generate()
RING = PrivateRing.generate()
VERIFIER = VerifyKeys([API.verify_key])
GOOD, STOLEN = b"export default {}", b"export default { fetch: (_, env) => new Response(env.TOKEN) }"


def secret(name: str, value: bytes, since: int = 1) -> BundleBinding:
    """Return a secret as the API stores it."""
    place = Context(account_id="a", namespace="", script="s", name=name, kind="secret_text", public=b"")
    sealed = RingSealer(RING.public()).seal(place, SecretValue(value))
    shown = msgspec.Raw(msgspec.json.encode({"name": name, "type": "secret_text"}))
    return BundleBinding(name, "secret_text", shown, proven_record(API, place, sealed, since), None, since)


def stored(store_id: str, sealed_name: str, value: bytes) -> BundleBinding:
    """Return a binding to the secret `greeting`, with the value that is sealed to a name in a store."""
    place = Context(
        account_id="a", namespace="store:", script=store_id, name=sealed_name, kind="secret_text", public=b""
    )
    record = proven_record(API, place, RingSealer(RING.public()).seal(place, SecretValue(value)))
    shown = {"name": "G", "type": "secrets_store_secret", "store_id": "1", "secret_name": "greeting"}
    found = StoredSecret(store_id=store_id, name="greeting", sealed_name=sealed_name, record=record)
    return BundleBinding("G", "secrets_store_secret", msgspec.Raw(msgspec.json.encode(shown)), None, found)


OLD = secret("TOKEN", b"old value")


def bundle(code: bytes, *bindings: BundleBinding, serial: int = 1, number: int = 1, script: str = "s") -> Bundle:
    """Return a bundle in which everything has the API's signatures."""
    version = BundleVersion(
        id=f"{number:08x}-1111-4111-8111-111111111111",
        percentage=100.0,
        created_on="",
        main_module="m.js",
        number=number,
        modules=(BundleModule("m.js", "application/javascript+module", code.ljust(32)[:32]),),
        bindings=bindings,
    )
    return stated(Bundle(account_id="a", script=script, serial=serial, versions=(version,)), API)


class Delivery:
    """The part of a delivery process that decides what is opened."""

    def __init__(self, folder: Path, rules: Sequence[Rule] | None = None, **keys: ApproverKey) -> None:
        path = approvers_file(folder / "approvers.json", keys or {"alice": ALICE}, rules)
        self.serials = Serials(folder / "marks.json")
        self.gate = Gate(path, "a", self.serials)
        self.cache = BundleCache("a", VERIFIER, self.serials, self.gate)

    def open(self, offered: Bundle) -> bytes:
        """Take a bundle, and load its first version as workerd does; return what workerd gets."""
        admitted = self.cache.admit(offered.script, sign_bundle(offered, API), 0)
        assert self.cache.take(admitted)
        self.cache.put(admitted)
        self.cache.check_approved(admitted)
        version = admitted.versions[0]
        return bytes(build_load(admitted, version, {version.modules[0].digest: GOOD}, RecordOpener(VERIFIER, RING)))


@pytest.fixture
async def delivery(tmp_path: Path) -> Delivery:
    """Return a delivery process that accepts ALICE's approvals."""
    return Delivery(tmp_path)


async def test_the_api_cannot_have_its_code_given_old_values(delivery: Delivery) -> None:
    """With full control of the API's machine, while the delivery process has an approvers file, an attacker can stop
    scripts, and give approved code other values, but cannot have other code given values that were put before.
    """
    good = approved(bundle(GOOD, OLD), ALICE)
    assert b"old value" in delivery.open(good)
    assert b"mine" in delivery.open(
        replace(bundle(GOOD, secret("TOKEN", b"mine"), serial=2), approvals=good.approvals)
    )
    for attack in (
        bundle(STOLEN, OLD, serial=3),
        replace(bundle(STOLEN, OLD, serial=3), approvals=good.approvals),
        approved(bundle(STOLEN, OLD, serial=3), BOB),
        replace(bundle(STOLEN, OLD, serial=3), approvals=approved(bundle(STOLEN, OLD, script="t"), ALICE).approvals),
    ):
        with pytest.raises(NightsafeError, match="no approver of the script has approved"):
            delivery.open(attack)


async def test_values_are_opened_only_for_approved_versions(delivery: Delivery) -> None:
    """With `--approvers`, the delivery process opens values only for versions that a key of the file has approved."""
    offered = bundle(GOOD, OLD)
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.open(offered)
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.cache.check_approved(offered)
    assert b"old value" in delivery.open(approved(offered, ALICE))


async def test_what_an_approval_covers(delivery: Delivery) -> None:
    """An approval covers the code, the settings, and the public fields of every binding of one script.

    For a secret of a Secrets Store it covers which secret it is: an attacker could else attach another one.
    """
    approvals = approved(bundle(GOOD, OLD, stored("1", "greeting", b"hello")), ALICE).approvals
    other = BundleBinding("URL", "plain_text", msgspec.Raw(b'{"name":"URL","text":"there","type":"plain_text"}'))
    for changed in (
        bundle(STOLEN, OLD, stored("1", "greeting", b"hello")),
        bundle(GOOD, OLD, stored("1", "password", b"hello")),
        bundle(GOOD, OLD, stored("2", "greeting", b"hello")),
        bundle(GOOD, OLD, stored("1", "greeting", b"hello"), other),
        bundle(GOOD, stored("1", "greeting", b"hello")),
    ):
        with pytest.raises(NightsafeError, match="no approver"):
            delivery.gate.admit(replace(changed, approvals=approvals))


async def test_approvals_can_cover_values(tmp_path: Path) -> None:
    """Where a rule says `"covers": "values"`, an approval also covers every sealed value."""
    delivery = Delivery(tmp_path, [Rule(glob="*", keys=("alice",), covers=Covers.VALUES)])
    good = approved(bundle(GOOD, OLD), ALICE)
    assert b"old value" in delivery.open(good)
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.open(replace(bundle(GOOD, secret("TOKEN", b"mine"), serial=2), approvals=good.approvals))


async def test_a_script_without_a_rule_is_not_served(tmp_path: Path) -> None:
    """A script that no rule of the approvers file matches is not served."""
    delivery = Delivery(tmp_path, [Rule(glob="other", keys=("alice",))])
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.open(approved(bundle(GOOD, OLD), ALICE))


async def test_no_way_back_to_earlier_approvals(tmp_path: Path, delivery: Delivery) -> None:
    """The delivery process goes back to no version whose approval is older than those of the versions that it served,
    also after a restart.
    """
    first = approved(bundle(GOOD, OLD), ALICE, 1)
    delivery.open(first)
    delivery.open(approved(bundle(b"fixed", OLD, serial=2, number=2), ALICE, 2))
    await delivery.serials.flush()
    for process in (delivery, Delivery(tmp_path)):
        with pytest.raises(NightsafeError, match="approve it again"):
            process.open(replace(first, serial=3))


async def test_a_removed_key_does_not_count(tmp_path: Path, delivery: Delivery) -> None:
    """After a key has left the approvers file and the process got SIGHUP, approvals by that key do not count."""
    offered = approved(bundle(GOOD, OLD), ALICE)
    delivery.open(offered)
    approvers_file(tmp_path / "approvers.json", {"bob": BOB})
    delivery.gate.reload()
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.cache.check_approved(offered)
    (withdrawn,) = delivery.cache.withdraw_unapproved()
    assert () == withdrawn.loads


async def test_an_approvers_file_that_others_can_change_is_refused(tmp_path: Path) -> None:
    """An approvers file that other users can write to is refused."""
    path = approvers_file(tmp_path / "approvers.json", {"alice": ALICE})
    path.chmod(0o666)
    with pytest.raises(NightsafeError, match="chmod"):
        Gate(path, "a", Serials(tmp_path / "marks.json"))
    assert os.stat(path).st_mode & 0o022  # noqa: PTH116 - the mode alone


def test_the_approver_signs_what_they_see() -> None:
    """`nightsafe approve` computes the digests that it signs from the parts that it shows.

    The manifest from the server has no digest of its own: any change of a part changes what is signed.
    """
    shown = manifest(bundle(GOOD, OLD))
    assert not {name for name in shown.__struct_fields__ if "digest" in name}
    approval = Approval.sign(shown, 1, ALICE)
    assert approval.approves(manifest(bundle(GOOD, OLD)), Covers.VALUES)
    assert not approval.approves(manifest(bundle(STOLEN, OLD)), Covers.CODE)


async def test_limit_approved_code_gets_values_of_whoever_puts_them(delivery: Delivery) -> None:
    """Unless it covers values, an approval says nothing about them. A caller that may put secrets can give approved
    code an address, for example, to which that code then sends another secret.
    """
    url = secret("URL", b"https://good.example")
    approvals = approved(bundle(GOOD, OLD, url), ALICE).approvals
    attack = bundle(GOOD, OLD, secret("URL", b"https://evil.example"), serial=2)

    assert b"evil" in delivery.open(replace(attack, approvals=approvals))


async def test_limit_percentages_and_subdomain(delivery: Delivery) -> None:
    """An approval does not cover the percentages of a deployment, nor whether requests from outside reach the
    script.
    """
    good = approved(bundle(GOOD, OLD), ALICE)
    inner = stated(replace(good, inner=True, serial=2), API)

    assert b"old value" in delivery.open(inner)


async def test_limit_resealed_values_need_another_approval(tmp_path: Path) -> None:
    """An approval that covers values ends when one of them is resealed, since it covers the sealed form. After a
    rotation, approve such scripts again before the delivery process restarts.
    """
    delivery = Delivery(tmp_path, [Rule(glob="*", keys=("alice",), covers=Covers.VALUES)])
    good = approved(bundle(GOOD, OLD), ALICE)
    delivery.open(good)
    resealed = replace(bundle(GOOD, secret("TOKEN", b"old value"), serial=2), approvals=good.approvals)
    with pytest.raises(NightsafeError, match="no approver"):
        delivery.open(resealed)
