"""The keys that a script would receive, opened with the safe's private ring."""

import json
from collections.abc import Sequence
from typing import Any

from tests.clients.tokens import in_store
from tests.server import Safe

from nightsafe.bindings.model import SecretKey
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.store.bundles import ServedBinding
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


def opened_key(safe: Safe, script: str, name: str) -> tuple[dict[str, Any], bytes]:
    """Return the public fields of a key, and its bytes (the JSON of a JWK)."""
    ref = ScriptRef(safe.account_id, script)

    async def read(store: Store) -> Sequence[ServedBinding]:
        """Return the bindings of the newest version with their records."""
        found = await store.full_version(ref)
        assert found is not None
        return found.bindings

    binding = next(found for found in in_store(safe, read) if found.name == name)
    shown = json.loads(binding.shown)
    usages = tuple(shown["usages"])
    key = SecretKey(name, shown["algorithm"], shown["format"], usages, SecretValue(b""))
    context = Context(
        account_id=ref.account_id,
        namespace="",
        script=script,
        name=name,
        kind="secret_key",
        public=key.public_metadata(),
    )
    verify = VerifyKeys.load(safe.path / "keys" / "verify-keys.json")
    assert binding.record is not None
    return shown, bytes(
        RecordOpener(verify, PrivateRing.load(safe.private_ring)).open(context, binding.record).reveal()
    )
