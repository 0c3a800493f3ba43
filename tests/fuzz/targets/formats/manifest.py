"""Manifests, as an approver gets them from a server that may lie."""

import msgspec

from nightsafe.bundle.approvals.manifest import parse_manifest
from nightsafe.cli.approval.changes import changes
from nightsafe.errors import Code, NightsafeError


def check(data: bytes) -> None:
    """Check that it is refused, or that every part of it is shown and signed."""
    try:
        answer = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the client refuses it before
    try:
        manifest = parse_manifest(answer)
    except NightsafeError as refused:
        assert refused.code is Code.INVALID
        return
    shown = {(change.part, change.name) for change in changes(None, manifest)}
    assert shown >= {("module", module.name) for module in manifest.modules}
    assert shown >= {("binding", binding.name) for binding in manifest.bindings}
    assert [] == changes(manifest, manifest)
    assert len(manifest.values_digest()) == len(manifest.code_digest()) == 32
