"""Makes bundles with approvals for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Approvers, Rule
from nightsafe.bundle.approvals.bundled import manifest_of
from nightsafe.bundle.approvals.manifest import Manifest
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.bundle.statements import ScriptIdentity


def manifest(bundle: Bundle, version: BundleVersion | None = None) -> Manifest:
    """Return the manifest of a version in a bundle (default: the first)."""
    script = ScriptIdentity(bundle.account_id, bundle.namespace, bundle.script, bundle.script_id)
    return manifest_of(script, version or bundle.versions[0])


def approved(bundle: Bundle, key: ApproverKey, made_at: int = 1) -> Bundle:
    """Return a bundle with an approval of each of its versions."""
    approvals = (Approval.sign(manifest(bundle, version), made_at, key) for version in bundle.versions)
    return replace(bundle, approvals=(*bundle.approvals, *approvals))


def approvers_file(path: Path, keys: Mapping[str, ApproverKey], rules: Sequence[Rule] | None = None) -> Path:
    """Write an approvers file. By default each key may approve every script."""
    rules = rules or [Rule(glob="*", keys=tuple(keys))]
    Approvers({name: key.public for name, key in keys.items()}, tuple(rules)).save(path, replace=True)
    return path
