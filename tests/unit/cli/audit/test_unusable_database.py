"""Commands on a database that lost its content, or is another program's."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from tests.stores import IDENTITY_KEY, SIGNING_KEY

from nightsafe.cli.audit.entry_source import StoreEntries
from nightsafe.cli.main import cli
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.ring_signer import public_ring
from nightsafe.sealing.verify_keys import VerifyKeys

_WORDS = {"empty": "the database is empty", "foreign": "the database's table 'x' is not Nightsafe's"}


@pytest.fixture(params=list(_WORDS))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """Return a data directory with keys and an unusable database, and the words of its refusal."""
    data = tmp_path / "data"
    (data / "keys").mkdir(mode=0o700, parents=True)
    data.chmod(0o700)
    SIGNING_KEY.save(data / "keys" / "signing-key.json")
    IDENTITY_KEY.save(data / "keys" / "identity-key.json")
    VerifyKeys([SIGNING_KEY.verify_key]).save(data / "keys" / "verify-keys.json")
    public_ring(PrivateRing.generate()).save(data / "keys" / "public-ring.json")
    (data / "nightsafe.db").touch(mode=0o600)
    if request.param == "foreign":
        with closing(sqlite3.connect(data / "nightsafe.db")) as db:
            db.execute("CREATE TABLE x (a)")
    return data, _WORDS[request.param]


@pytest.mark.parametrize(
    "command",
    [
        "audit list", "audit show 0", "audit watch", "audit export", "audit checkpoint", "audit key", "audit verify",
        "token list", "backup safe.tar", "doctor --quick",
    ],
)  # fmt: skip
def test_an_unusable_database_is_refused(
    case: tuple[Path, str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that reads the database exits with 1 and says what is wrong; none makes an empty file a safe."""
    data, words = case
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(StoreEntries, "wait", None)  # a `watch` that is not refused fails here, and does not wait

    for _ in range(2):
        done = CliRunner().invoke(cli, [*command.split(), "--data", str(data)])
        structlog.reset_defaults()

        assert 1 == done.exit_code, done.output
        assert words in f"{done.output}{done.exception}"
    assert not (tmp_path / "safe.tar").exists()


def test_a_lost_identity_key_is_not_made_for_an_empty_database(case: tuple[Path, str]) -> None:
    """A safe that lost both its content and its identity key is refused, and no key is made that accepts rows."""
    data, words = case
    (data / "keys" / "identity-key.json").unlink()

    done = CliRunner().invoke(cli, ["token", "list", "--data", str(data)])
    structlog.reset_defaults()

    assert 1 == done.exit_code
    assert words in str(done.exception)
    assert not list((data / "keys").glob("*identity-key.json"))
