"""Verification of bundles: a bundle passes as it was stated, and with any one part changed it is refused."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.proofs import prove, proven_record, signed_record, stated

from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion
from nightsafe.bundle.verification import check_stated
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY, STRANGER = SigningKey.generate(), SigningKey.generate()
VERIFIER = VerifyKeys([KEY.verify_key])
PLACE = Context(account_id="a" * 32, namespace="n", script="s", name="SECRET", kind="secret_text")
MODULES = (
    BundleModule("main.js", "application/javascript+module", b"1" * 32),
    BundleModule("b.js", "application/javascript+module", b"2" * 32),
)
Parts = dict[str, Any]


def record(since: int) -> bytes:
    """Return a record that a version put; its sealed value need not open here."""
    return proven_record(KEY, PLACE, b"NSV", since)


def version(number: int, share: float) -> BundleVersion:
    """Return a version with two modules and two bindings."""
    return BundleVersion(
        id=str(uuid.UUID(int=number)),
        percentage=share,
        created_on="2026-01-01T00:00:00Z",
        tag="v1",
        main_module="main.js",
        compatibility_date="2026-01-01",
        compatibility_flags=("nodejs_compat",),
        cpu_ms=50,
        modules=MODULES,
        bindings=(
            BundleBinding("PLAIN", "plain_text", Raw(b'{"text":"x"}'), since=1),
            BundleBinding("SECRET", "secret_text", Raw(b'{"type":"secret_text"}'), record(2), since=2),
        ),
        number=number,
    )


BUNDLE = stated(
    Bundle(
        account_id="a" * 32,
        namespace="n",
        script="s",
        serial=1,
        versions=(version(3, 90.0), version(4, 10.0)),
        inner=True,
    ),
    KEY,
)
OTHER = stated(replace(BUNDLE, versions=(version(5, 90.0), version(6, 10.0))), KEY)
"""The same script later."""

PLAIN, SECRET = BUNDLE.versions[0].bindings
DEPLOYMENT = BUNDLE.deployment
assert DEPLOYMENT is not None
assert OTHER.deployment is not None


def of_version(**parts: Any) -> Parts:
    """Return the versions with other parts of the first one."""
    first, *others = BUNDLE.versions
    return {"versions": (replace(first, **parts), *others)}


def of_module(**parts: Any) -> Parts:
    """Return the versions with other parts of the first module."""
    return of_version(modules=(replace(MODULES[0], **parts), *MODULES[1:]))


def of_binding(binding: BundleBinding = PLAIN, **parts: Any) -> Parts:
    """Return the versions with other parts of a binding."""
    return of_version(bindings=tuple(replace(one, **parts) if one is binding else one for one in (PLAIN, SECRET)))


def of_deployment(**parts: Any) -> Parts:
    """Return the deployment with other parts."""
    assert DEPLOYMENT is not None
    return {"deployment": replace(DEPLOYMENT, **parts)}


CHANGES: dict[str, Parts] = {
    "module digest": of_module(digest=b"3" * 32),
    "module content type": of_module(content_type="text/plain"),
    "module name": of_module(name="other.js"),
    "module added": of_version(modules=(*MODULES, BundleModule("c.js", "text/plain", b"3" * 32))),
    "module removed": of_version(modules=MODULES[:1]),
    "modules swapped": of_version(modules=MODULES[::-1]),
    "main module": of_version(main_module="b.js"),
    "setting": of_version(settings=Raw(bytes(BUNDLE.versions[0].settings).replace(b"50", b"60")), cpu_ms=60),
    "settings that are not JSON": of_version(settings=Raw(b"{")),
    "settings of another type": of_version(settings=Raw(b"[]")),
    "compatibility date": of_version(compatibility_date="2026-01-02"),
    "compatibility flags": of_version(compatibility_flags=()),
    "CPU limit": of_version(cpu_ms=None),
    "classic": of_version(classic=True),
    "annotations": of_version(annotations=Raw(b'{"workers/tag":"v2"}'), tag="v2"),
    "tag": of_version(tag="v2"),
    "time": of_version(made_at=1, created_on="1970-01-01T00:00:00.000001Z"),
    "shown time": of_version(created_on="2026-01-01T00:00:01Z"),
    "time out of range": of_version(made_at=-1),
    "version id": of_version(id=str(uuid.UUID(int=9))),
    "version id that is no UUID": of_version(id="x"),
    "version number": of_version(number=9),
    "binding name": of_binding(name="OTHER"),
    "binding kind": of_binding(kind="json"),
    "binding shown": of_binding(shown=Raw(b'{"text":"y"}')),
    "binding since": of_binding(since=2),
    "binding since out of range": of_binding(since=-1),
    "binding removed": of_version(bindings=(SECRET,)),
    "binding added": of_version(bindings=(PLAIN, SECRET, replace(PLAIN, name="MORE"))),
    "record put by another version": of_binding(SECRET, record=record(1)),
    "secret with its record of another version": of_binding(SECRET, record=record(1), since=1),
    "percentage": of_version(percentage=91.0),
    "percentages of both versions": {
        "versions": tuple(replace(one, percentage=50.0) for one in BUNDLE.versions),
    },
    "versions swapped": {"versions": BUNDLE.versions[::-1]},
    "version removed": {"versions": BUNDLE.versions[:1]},
    "version of another deployment": {"versions": (OTHER.versions[0], BUNDLE.versions[1])},
    "deployment id": of_deployment(id=b"e" * 16),
    "deployment newest": of_deployment(newest=9),
    "deployment place": of_deployment(place=0),
    "deployment out of range": of_deployment(newest=-1),
    "no deployment": {"deployment": None},
    "another deployment": {"deployment": OTHER.deployment},
    "triggers": {"triggers": Raw(b'{"subdomain_enabled":true}'), "inner": False},
    "triggers that are not JSON": {"triggers": Raw(b"{")},
    "inner": {"inner": False},
    "script id": {"script_id": "1" * 32},
    "account": {"account_id": "b" * 32},
    "namespace": {"namespace": ""},
    "script": {"script": "t"},
    "version without a proof": of_version(proof=b""),
    "proof of another version": of_version(proof=BUNDLE.versions[1].proof),
    "proof of another group": of_version(proof=prove(KEY, [b"d" * 32])[0]),
    "proof that is cut off": of_version(proof=BUNDLE.versions[0].proof[:-40]),
    "deployment without a proof": of_deployment(proof=b""),
    "deployment with another proof": of_deployment(proof=BUNDLE.versions[0].proof),
    "triggers without a proof": {"triggers_proof": b""},
    "triggers with another proof": {"triggers_proof": DEPLOYMENT.proof},
    "deployment of another signer": {"deployment": stated(BUNDLE, STRANGER).deployment},
    "version of another signer": {"versions": (stated(BUNDLE, STRANGER).versions[0], BUNDLE.versions[1])},
    "triggers of another signer": {"triggers_proof": stated(BUNDLE, STRANGER).triggers_proof},
}
"""Parts of a bundle that are not as they were stated."""


def test_a_stated_bundle_passes() -> None:
    """A bundle passes with the proofs of its parts, while any of several keys is trusted."""
    check_stated(BUNDLE, VERIFIER)
    check_stated(OTHER, VerifyKeys([STRANGER.verify_key, KEY.verify_key]))
    check_stated(stated(replace(BUNDLE, inner=False), KEY), VERIFIER)


@pytest.mark.parametrize("what", CHANGES)
def test_any_changed_part_is_refused(what: str) -> None:
    """A bundle with any one part that is not as it was stated is refused with CANNOT_OPEN."""
    with pytest.raises(NightsafeError, match="was signed when it was written") as caught:
        check_stated(replace(BUNDLE, **CHANGES[what]), VERIFIER)

    assert Code.CANNOT_OPEN is caught.value.code


def test_the_order_of_bindings_does_not_count() -> None:
    """A bundle passes with its bindings in any order."""
    check_stated(replace(BUNDLE, **of_version(bindings=(SECRET, PLAIN))), VERIFIER)


def test_a_script_without_versions_needs_no_statement() -> None:
    """A bundle without versions passes without any proof."""
    check_stated(Bundle(account_id="a" * 32, script="s", serial=1), STRANGER_VERIFIER)


STRANGER_VERIFIER = VerifyKeys([STRANGER.verify_key])


def test_triggers_always_need_a_statement() -> None:
    """A script whose triggers were never changed needs a statement of them too, so that nobody can reset them."""
    plain = stated(replace(BUNDLE, inner=False), KEY)
    check_stated(plain, VERIFIER)

    with pytest.raises(NightsafeError, match="subdomain"):
        check_stated(replace(plain, triggers_proof=b""), VERIFIER)


@pytest.mark.parametrize("make", [signed_record, lambda *_: b"NSR\x02garbage"])
def test_only_proven_records_name_their_version(make: Callable[..., bytes]) -> None:
    """A record of the first form passes here, because its own signature is checked later; a broken one does not."""
    changed = replace(BUNDLE, **of_binding(SECRET, record=make(KEY, PLACE, b"NSV")))
    if make is signed_record:
        check_stated(changed, VERIFIER)
        return
    with pytest.raises(NightsafeError) as caught:
        check_stated(changed, VERIFIER)
    assert Code.CANNOT_OPEN is caught.value.code


def test_a_refusal_names_the_part_and_no_value() -> None:
    """A refusal names the version, the deployment or the binding, and contains nothing of the record."""
    for parts, name in (
        (CHANGES["module digest"], BUNDLE.versions[0].id),
        (CHANGES["no deployment"], "the deployment"),
        (CHANGES["record put by another version"], "'SECRET'"),
        (CHANGES["inner"], "subdomain"),
    ):
        with pytest.raises(NightsafeError, match=name) as caught:
            check_stated(replace(BUNDLE, **parts), VERIFIER)
        assert "NSV" not in str(caught.value)
