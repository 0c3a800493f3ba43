"""The parts of a version that an approval covers."""

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace
from tests.approved import manifest
from tests.proofs import proven_record, signed_record, stated

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.sealing import Context
from nightsafe.sealing.signing_key import SigningKey

KEY, APPROVER = SigningKey.generate(), ApproverKey.generate()
PLACE = Context(account_id="a", namespace="", script="s", name="S", kind="secret_text", public=b"")
STORED = BundleBinding(
    "FROM_STORE",
    "secrets_store_secret",
    msgspec.Raw(b'{"name":"FROM_STORE","type":"secrets_store_secret","store_id":"1","secret_name":"n"}'),
    None,
    StoredSecret(store_id="1", name="n", sealed_name="n", record=proven_record(KEY, PLACE, b"stored")),
)


def secret(sealed: bytes, since: int = 1) -> BundleBinding:
    """Return a secret with this sealed value."""
    shown = msgspec.Raw(b'{"name":"S","type":"secret_text"}')
    return BundleBinding("S", "secret_text", shown, proven_record(KEY, PLACE, sealed, since), None, since)


def text(name: str, value: str) -> BundleBinding:
    """Return a binding whose value is public."""
    return BundleBinding(name, "plain_text", msgspec.Raw(msgspec.json.encode({"name": name, "text": value})))


VERSION = BundleVersion(
    id="11111111-1111-4111-8111-111111111111",
    percentage=100.0,
    created_on="",
    main_module="m.js",
    modules=(BundleModule("m.js", "application/javascript+module", bytes(32)),),
    bindings=(secret(b"sealed"), STORED, text("T", "1")),
    settings=msgspec.Raw(b'{"compatibility_date":"2026-01-01"}'),
)
BUNDLE = Bundle(account_id="a", script="s", serial=1, script_id="0" * 32, versions=(VERSION,))


def with_binding(binding: BundleBinding) -> BundleVersion:
    """Return the version with a binding in place of the one of the same name."""
    return replace(VERSION, bindings=tuple(binding if one.name == binding.name else one for one in VERSION.bindings))


def with_module(**fields: object) -> BundleVersion:
    """Return the version with another module."""
    return replace(VERSION, modules=(replace(VERSION.modules[0], **fields),))


CODE: dict[str, Callable[[], BundleVersion]] = {
    "contents": lambda: with_module(digest=b"\1" * 32),
    "module name": lambda: with_module(name="n.js"),
    "content type": lambda: with_module(content_type="text/plain"),
    "main module": lambda: replace(VERSION, main_module="n.js"),
    "settings": lambda: replace(VERSION, settings=msgspec.Raw(b'{"compatibility_date":"2026-01-02"}')),
    "public value": lambda: with_binding(text("T", "2")),
    "kind": lambda: with_binding(replace(text("T", "1"), kind="json")),
    "binding removed": lambda: replace(VERSION, bindings=VERSION.bindings[:-1]),
    "binding added": lambda: replace(VERSION, bindings=(*VERSION.bindings, text("U", "1"))),
    "other secret of the store": lambda: with_binding(
        replace(STORED, stored=msgspec.structs.replace(STORED.stored, sealed_name="other"))  # type: ignore[type-var]
    ),
    "other store": lambda: with_binding(
        replace(STORED, stored=msgspec.structs.replace(STORED.stored, store_id="2"))  # type: ignore[type-var]
    ),
}


@pytest.mark.parametrize("change", CODE.values(), ids=CODE.keys())
def test_every_part_of_the_code_counts(change: Callable[[], BundleVersion]) -> None:
    """A version that differs in any module, setting or public field of a binding needs another approval."""
    approval = Approval.sign(manifest(BUNDLE), 1, APPROVER)
    other = manifest(replace(BUNDLE, versions=(change(),)))

    assert not approval.approves(other, Covers.CODE)
    assert not approval.approves(other, Covers.VALUES)


@pytest.mark.parametrize(
    "members", [{"account_id": "b"}, {"script": "t"}, {"namespace": "n"}, {"script_id": "1" * 32}]
)
def test_the_script_counts(members: dict[str, str]) -> None:
    """The same version of another script needs another approval."""
    approval = Approval.sign(manifest(BUNDLE), 1, APPROVER)

    assert not approval.approves(manifest(replace(BUNDLE, **members)), Covers.CODE)


def test_a_new_value_counts_only_where_values_are_covered() -> None:
    """A version with only another value needs no other approval, unless the approval must cover values."""
    approval = Approval.sign(manifest(BUNDLE), 1, APPROVER)
    other = manifest(replace(BUNDLE, versions=(replace(with_binding(secret(b"another", 2)), number=2),)))

    assert approval.approves(other, Covers.CODE)
    assert not approval.approves(other, Covers.VALUES)


def test_a_new_proof_of_a_value_does_not_count() -> None:
    """An approval covers the sealed value, not the proof around it, which changes when older rows are stated."""
    approval = Approval.sign(manifest(BUNDLE), 1, APPROVER)
    binding = replace(secret(b"sealed"), record=signed_record(KEY, PLACE, b"sealed"))

    assert approval.approves(manifest(replace(BUNDLE, versions=(with_binding(binding),))), Covers.VALUES)


def test_a_stored_secret_that_does_not_exist_yet_counts_under_its_own_name() -> None:
    """When the secret is created under the name that the binding has, the approval still holds."""
    approval = Approval.sign(
        manifest(replace(BUNDLE, versions=(with_binding(replace(STORED, stored=None)),))), 1, APPROVER
    )

    assert approval.approves(manifest(BUNDLE), Covers.CODE)


def test_a_manifest_is_the_same_after_a_journey_as_json() -> None:
    """An approver gets a manifest as JSON, and computes the digests that delivery computes from the bundle."""
    bundle = stated(BUNDLE, KEY)
    sent = msgspec.json.decode(msgspec.json.encode(manifest(bundle)))
    received = msgspec.convert(sent, type(manifest(bundle)))

    assert manifest(bundle).values_digest() == received.values_digest()


def test_an_approval_is_valid_only_with_its_own_signature() -> None:
    """A change of any field makes an approval invalid; a key that is not a key does, too."""
    approval = Approval.sign(manifest(BUNDLE), 5, APPROVER)
    assert approval.is_valid()
    for change in (
        {"made_at": 6},
        {"code": bytes(32)},
        {"values": bytes(32)},
        {"signature": bytes(64)},
        {"public": ApproverKey.generate().public},
        {"public": b"\xff" * 32},
    ):
        assert not replace(approval, **change).is_valid()
