"""From a secret to the binding that is stored of it. Values are sealed here and wiped."""

import asyncio
from collections.abc import Sequence

from nightsafe.bindings.model import Secret
from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Sealer
from nightsafe.sealing.record import key_id_of
from nightsafe.store.model import Binding, ScriptRef


class Safe:
    """The drawer: secrets go in, sealed bindings come out, and nothing here can open them.

    Args:
        sealer: seals to the public ring and signs.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, ref: ScriptRef, secret: Secret) -> Binding:
        """Seal one secret for one script, and wipe its value."""
        context = Context(
            account_id=ref.account_id,
            namespace=ref.namespace,
            script=ref.name,
            name=secret.name,
            kind=secret.kind,
            public=secret.public(),
        )
        try:
            record = self._sealer.seal(context, secret.value)
        finally:
            secret.value.wipe()
        return Binding(secret.name, secret.kind, secret.shown(), record, key_id_of(record))

    async def seal_all(self, ref: ScriptRef, secrets: Sequence[Secret]) -> tuple[Binding, ...]:
        """Seal several, letting other requests run in between: each holds the interpreter for 0.2 ms."""
        sealed = []
        try:
            for secret in secrets:
                sealed.append(self.seal(ref, secret))
                await asyncio.sleep(0)
        finally:
            for secret in secrets:
                secret.value.wipe()
        return tuple(sealed)
