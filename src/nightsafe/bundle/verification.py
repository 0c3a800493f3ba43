"""Checks that code, settings, bindings and deployment in a bundle were stated when they were written."""

from collections.abc import Iterator

import msgspec

from nightsafe.bundle.fields import is_inner, version_fields
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.bundle.statements import (
    ScriptIdentity,
    binding_digest,
    code_digest,
    content_digest,
    deployment_digest,
    triggers_digest,
    version_digest,
)
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.statements import StatementProof
from nightsafe.sealing.interfaces import Verifier
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord


def check_stated(bundle: Bundle, verifier: Verifier) -> None:
    """Refuse a bundle with a part that no trusted key has signed when it was written.

    A bundle without a deployment, of a script that does not exist or was never deployed, has no such part. The values
    themselves are checked when they are opened: each record has a proof of its own.

    Args:
        bundle: the bundle.
        verifier: verifies statements.

    Raises:
        NightsafeError: CANNOT_OPEN, with the first such part.
    """
    if not bundle.versions and bundle.deployment is None:
        return
    script = ScriptIdentity(bundle.account_id, bundle.namespace, bundle.script, bundle.script_id)
    digests = [_check_version(script, version, verifier) for version in bundle.versions]
    _check_deployment(script, bundle, digests, verifier)
    _check_triggers(script, bundle, verifier)


def _check_version(script: ScriptIdentity, version: BundleVersion, verifier: Verifier) -> bytes:
    """Check a version, and return its statement."""
    modules = ((module.name, module.content_type, module.digest) for module in version.modules)
    settings, annotations = bytes(version.settings), bytes(version.annotations)
    try:
        digest = version_digest(
            script,
            version.number,
            _uuid(version.id),
            created_on=version.made_at,
            annotations=annotations,
            content=content_digest(code_digest(version.main_module, modules), settings),
            bindings=_binding_digests(version),
        )
        fields = version_fields(settings, annotations, version.made_at)
    except (ValueError, OverflowError, AttributeError, TypeError, msgspec.MsgspecError):
        raise _refusal(f"the version {version.id}") from None
    if not _is_stated(digest, version.proof, verifier) or any(
        getattr(version, name) != value for name, value in fields.items()
    ):
        raise _refusal(f"the version {version.id} (its code, its settings or its bindings)")
    return digest


def _binding_digests(version: BundleVersion) -> Iterator[bytes]:
    """Yield the digest of each binding; refuse a record that was put by another version than the binding."""
    for binding in version.bindings:
        record = binding.record
        if (
            record is not None
            and record.startswith(PROVEN_MAGIC)
            and ProvenRecord.parse(record).since != binding.since
        ):
            raise _refusal(f"the value of the binding {binding.name!r}, which is another version's,")
        yield binding_digest(binding.name, binding.kind, bytes(binding.shown), binding.since)


def _check_deployment(script: ScriptIdentity, bundle: Bundle, digests: list[bytes], verifier: Verifier) -> None:
    """Check the deployment, which names the versions with their shares."""
    deployment = bundle.deployment
    shares = [
        (version.number, version.percentage, digest) for version, digest in zip(bundle.versions, digests, strict=True)
    ]
    if deployment is None:
        raise _refusal("the deployment")
    try:
        digest = deployment_digest(script, (deployment.newest, deployment.place), deployment.id, shares)
    except OverflowError:
        raise _refusal("the deployment") from None
    if not _is_stated(digest, deployment.proof, verifier):
        raise _refusal("the deployment (its versions or their percentages)")


def _check_triggers(script: ScriptIdentity, bundle: Bundle, verifier: Verifier) -> None:
    """Check the triggers, which decide whether requests from outside reach the script."""
    triggers = bytes(bundle.triggers)
    if not _is_stated(triggers_digest(script, triggers), bundle.triggers_proof, verifier):
        raise _refusal("the script's subdomain setting")
    if bundle.inner != is_inner(triggers):
        raise _refusal("the script's subdomain setting")


def _is_stated(digest: bytes, proof: bytes, verifier: Verifier) -> bool:
    """Return True if a proof shows that a trusted key has signed the statement."""
    try:
        return verifier.verify_statement(digest, StatementProof.parse(proof))
    except ValueError:
        return False


def _uuid(text: str) -> bytes:
    """Return the 16 bytes of a UUID; raise ValueError for any other text."""
    return bytes.fromhex(text.replace("-", ""))


def _refusal(part: str) -> NightsafeError:
    """Return the refusal of a part."""
    return NightsafeError(
        Code.CANNOT_OPEN, f"{part} is not what was signed when it was written: somebody has changed the database"
    )
