"""Makes records and bundles with their proofs, as the API process and its store make them."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from nightsafe.bundle.fields import version_fields
from nightsafe.bundle.model import Bundle, BundleDeployment, BundleVersion
from nightsafe.bundle.statements import (
    ScriptIdentity,
    binding_digest,
    code_digest,
    content_digest,
    deployment_digest,
    triggers_digest,
    version_digest,
)
from nightsafe.merkle.statements import SignedStatements
from nightsafe.sealing import Context
from nightsafe.sealing.proven_record import ProvenRecord, put_digest
from nightsafe.sealing.record import Record
from nightsafe.sealing.signing_key import SigningKey

ORIGIN = "nightsafe/test"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def prove(key: SigningKey, digests: Sequence[bytes], size: int = 1) -> list[bytes]:
    """Return the packed proof of each statement of one group commit, after which the log has `size` entries."""
    signed = SignedStatements.sign(ORIGIN, size, bytes(32), digests, key.id, key.sign_message)
    return [signed.proof(position).pack() for position in range(len(digests))]


def proven_record(key: SigningKey, context: Context, sealed: bytes, since: int = 1) -> bytes:
    """Return the stored record of a sealed value, with the proof that it was put."""
    (proof,) = prove(key, [put_digest(context.record_digest(sealed), since)])
    return ProvenRecord.join(since, proof, sealed)


def signed_record(key: SigningKey, context: Context, sealed: bytes) -> bytes:
    """Return a stored record of the first form, with a signature of its own."""
    signature = key.sign_message(context.signed_message(sealed, key.id))
    return Record(key.id, signature, sealed).pack()


def stated(bundle: Bundle, key: SigningKey, size: int = 1) -> Bundle:
    """Return a bundle whose versions, deployment and triggers have proofs.

    Each version has a group of its own, so an equal version has the same proof in a later bundle. Every deployment
    has the same order, so a later bundle may have any of the versions.

    Args:
        bundle: the bundle.
        key: the signing key.
        size: the number of the log's entries after the deployment.
    """
    if not bundle.versions:
        return bundle
    script_id = bundle.script_id or "0" * 32
    script = ScriptIdentity(bundle.account_id, bundle.namespace, bundle.script, script_id)
    versions = [_with_objects(version, number) for number, version in enumerate(bundle.versions, start=1)]
    digests = [_version_digest(script, version) for version in versions]
    shares = [(version.number, version.percentage, digest) for version, digest in zip(versions, digests, strict=True)]
    deployment_id = bytes(16)
    order = (1, 1)
    triggers = b'{"subdomain_enabled":false}' if bundle.inner else b"{}"
    proofs = [proof for digest in digests for proof in prove(key, [digest])]
    deployment_proof, triggers_proof = prove(
        key, [deployment_digest(script, order, deployment_id, shares), triggers_digest(script, triggers)], size
    )
    return replace(
        bundle,
        script_id=script_id,
        versions=tuple(replace(version, proof=proof) for version, proof in zip(versions, proofs, strict=True)),
        deployment=BundleDeployment(deployment_id, *order, deployment_proof),
        triggers=msgspec.Raw(triggers),
        triggers_proof=triggers_proof,
    )


def _with_objects(version: BundleVersion, number: int) -> BundleVersion:
    """Return a version with the JSON objects that its other fields come from."""
    settings: dict[str, Any] = {
        "compatibility_date": version.compatibility_date,
        "compatibility_flags": version.compatibility_flags,
    }
    if version.classic:
        settings["body_part"] = version.main_module
    if version.cpu_ms is not None:
        settings["limits"] = {"cpu_ms": version.cpu_ms}
    made = dt.datetime.fromisoformat(version.created_on) if version.created_on else _EPOCH
    made_at = (made - _EPOCH) // dt.timedelta(microseconds=1)
    settings_json, annotations = msgspec.json.encode(settings), msgspec.json.encode({"workers/tag": version.tag})
    return replace(
        version,
        number=version.number or number,
        made_at=made_at,
        settings=msgspec.Raw(settings_json),
        annotations=msgspec.Raw(annotations),
        created_on=version_fields(settings_json, annotations, made_at)["created_on"],
    )


def _version_digest(script: ScriptIdentity, version: BundleVersion) -> bytes:
    """Return the statement of a version."""
    modules = [(module.name, module.content_type, module.digest) for module in version.modules]
    return version_digest(
        script,
        version.number,
        uuid.UUID(version.id).bytes,
        created_on=version.made_at,
        annotations=bytes(version.annotations),
        content=content_digest(code_digest(version.main_module, modules), bytes(version.settings)),
        bindings=[
            binding_digest(binding.name, binding.kind, bytes(binding.shown), binding.since)
            for binding in version.bindings
        ],
    )
