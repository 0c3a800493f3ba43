"""The keys of several API nodes: what a retired one is still good for."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.stores import SIGNING_KEY
from tests.unit.api.delivery.test_bundles import get
from tests.unit.api.tools.driver import Api
from tests.unit.api.tools.rotation import text
from tests.unit.audit.tools.filled_safe import change, opened, verify

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.bundle.signed import open_bundle, sign_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.cli.safe.database_copy import copy_database
from nightsafe.errors import NightsafeError
from nightsafe.merkle.statements import SignedStatements
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

OTHER_KEY = SigningKey.generate()
BOTH = VerifyKeys([SIGNING_KEY.verify_key, OTHER_KEY.verify_key])


def written_by_both(api: Api) -> tuple[bytes, int]:
    """Write a script by one node and a secret by the other; return the newest checkpoint and the log's size."""
    assert api.upload("worker").status == 200
    api.signer = OTHER_KEY
    api.restart()
    assert api.put("worker", text("TOKEN", "value")).status == 200
    note = api.run(api.store.checkpoint())
    return note, BOTH.open_checkpoint(note).size


def test_a_retired_signing_key_signs_nothing_new(own_api: Api) -> None:
    """What a retired signing key signs after its retirement is refused: bundles, statements and checkpoints.

    What it signed before still counts.
    """
    note, size = written_by_both(own_api)
    in_time, too_late = BOTH.retired(OTHER_KEY.verify_key, size), BOTH.retired(OTHER_KEY.verify_key, size - 1)
    bundle = open_bundle(get(own_api, "bundles/worker").body, in_time)

    check_stated(bundle, in_time)
    assert size == in_time.open_checkpoint(note).size
    with pytest.raises(NightsafeError, match="no trusted key"):
        open_bundle(sign_bundle(bundle, OTHER_KEY), in_time)
    with pytest.raises(NightsafeError, match="not what was signed"):
        check_stated(bundle, too_late)
    with pytest.raises(NightsafeError, match="was retired"):
        too_late.open_checkpoint(note)


def test_a_stolen_retired_key_can_lie_about_the_past(own_api: Api, tmp_path: Path) -> None:
    """An attacker who has a retired signing key and write access to the database can state things as if they were
    from before the retirement. The delivery process takes them; `audit verify` finds them.
    """
    _, size = written_by_both(own_api)
    copy_database(own_api.path, tmp_path / "copy.db")
    keys = BOTH.retired(OTHER_KEY.verify_key, size)
    with closing(opened((tmp_path / "copy.db").read_bytes())) as db:
        [(origin,)] = db.execute("SELECT origin FROM log_head")
        first, root = newest_group(db)
        forged = SignedStatements.sign(origin, size, root, [bytes(32)], OTHER_KEY.id, OTHER_KEY.sign_message)
        assert keys.verify_statement(bytes(32), forged.proof(0))

        assert size == verify(db, keys=keys).entries
        values = f"digests = x'{forged.digests.hex()}', signature = x'{forged.signature.hex()}'"
        change(db, f"UPDATE log_groups SET {values} WHERE first = {first}")  # noqa: S608 - hexadecimal digits
        with pytest.raises(DifferenceError, match="the signed statements are not those"):
            verify(db, keys=keys)


def newest_group(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Return the first entry of the newest group commit, and the root after it."""
    found: tuple[int, bytes] = db.execute("SELECT first, root FROM log_groups ORDER BY first DESC LIMIT 1").fetchone()
    return found
