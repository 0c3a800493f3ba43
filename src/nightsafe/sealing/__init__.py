"""The sealed-value format: seal, open, key rings, signed records. `docs/sealed-format.md` defines it.

Where to look:

- `sealer.SigningSealer` is what the API node uses; it needs a `public_ring.PublicRing` and a `signing.SigningKey`.
- `sealer.RingSealer` is what a client uses; it needs the public ring only.
- `opener.RecordOpener` is what the delivery side uses; it alone needs a `private_ring.PrivateRing`.

This module itself loads no cryptography, so that a client starts fast.
"""

from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Opener, Sealer, Signer, Verifier
from nightsafe.sealing.record import key_id_of
from nightsafe.sealing.suite import Suite

__all__ = ["Context", "Opener", "Sealer", "Signer", "Suite", "Verifier", "key_id_of"]
