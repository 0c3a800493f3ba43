"""The sealed-value format: seal, open, key rings, signed records. `docs/sealed-format.md` defines it.

Where to look:

- The API process uses `sealer.SigningSealer`, which needs a `rings.public_ring.PublicRing` and a
  `signing_key.SigningKey`.
- A client uses `sealer.RingSealer`, which needs only the public ring. It writes version 1 of the sealed value.
- The API process and resealing write version 2, with `groups.sealer.GroupSealer`.
- The delivery process uses `opener.RecordOpener`, the only class that needs a `rings.private_ring.PrivateRing`.

This module loads no cryptography, so that a client starts fast.
"""

from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Opener, Sealer, Verifier
from nightsafe.sealing.record import key_id_of
from nightsafe.sealing.suite import Suite

__all__ = ["Context", "Opener", "Sealer", "Suite", "Verifier", "key_id_of"]
