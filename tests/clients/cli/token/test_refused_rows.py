"""`nightsafe token refused-rows`, and what other commands say about rows that do not count."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.older_safe import drop_macs
from tests.server import Safe, Server, make_safe, run

from nightsafe.identity.credentials import digest

ROWS = ["accounts", "users", "memberships", "tokens"]


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    """Return a safe of the test's own."""
    return make_safe(tmp_path)


def key_file(safe: Safe) -> Path:
    """Return the file of the identity key."""
    return safe.path / "keys" / "identity-key.json"


def command(safe: Safe, *arguments: str) -> CompletedProcess[str]:
    """Run a command on the safe."""
    return run(*arguments, "--data", str(safe.path), cwd=safe.path.parent)


def refused(safe: Safe) -> list[dict[str, Any]]:
    """Return the rows that the command lists."""
    done = command(safe, "token", "refused-rows", "--json")
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


def change(safe: Safe, statement: str, *parameters: object) -> None:
    """Execute a statement on the database."""
    with closing(sqlite3.connect(safe.database, isolation_level=None)) as db:
        db.execute(statement, parameters)


def audited(safe: Safe) -> str:
    """Return the last entry of the audit log."""
    with closing(sqlite3.connect(safe.database)) as db:
        return str(db.execute("SELECT entry FROM audit ORDER BY seq DESC LIMIT 1").fetchone()[0])


def test_a_sound_safe_has_no_refused_rows(safe: Safe) -> None:
    """Without refused rows the list is empty."""
    done = command(safe, "token", "refused-rows")

    assert (0, "Every row counts.\n") == (done.returncode, done.stderr)
    assert [] == refused(safe)


def test_a_changed_token_is_shown_and_deleted(safe: Safe) -> None:
    """A changed token is listed with what it would grant, without its hash, and is deleted after a confirmation."""
    change(safe, "UPDATE tokens SET name = ?, status = 'disabled'", "bad\x1b[2J")
    shown = command(safe, "token", "refused-rows")
    unconfirmed = command(safe, "token", "refused-rows", "--delete")
    deleted = command(safe, "token", "refused-rows", "--delete", "--yes")

    assert 0 == shown.returncode
    for word in ("tokens", "bad?[2J", "status disabled", "com.cloudflare.api.account"):
        assert word in shown.stdout
    assert digest(safe.api_token).hex() not in shown.stdout
    assert 2 == unconfirmed.returncode
    assert (0, "Deleted 1 rows.\n") == (deleted.returncode, deleted.stderr)
    assert [] == refused(safe)
    assert "identities.delete" in audited(safe)
    assert 0 == command(safe, "token", "create", "--all-access").returncode


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("assignment", ["mac = x'00'", "created_on = 1.5"])
def test_the_log_says_that_a_row_was_deleted(safe: Safe, table: str, assignment: str) -> None:
    """After a changed or malformed row was deleted, the database is again what the log says."""
    assignment = assignment.replace("created_on", "issued_on") if table == "tokens" else assignment
    change(safe, f"UPDATE {table} SET {assignment}")  # noqa: S608 - the test's own
    assert 1 == command(safe, "audit", "verify").returncode
    assert 0 == command(safe, "token", "refused-rows", "--delete", "--yes").returncode

    verified = command(safe, "audit", "verify")
    assert 0 == verified.returncode, verified.stderr


def test_a_deleted_row_of_a_foreign_id_is_not_in_the_log(safe: Safe) -> None:
    """The log does not name a deleted row by an id that Nightsafe does not make."""
    change(safe, "INSERT INTO memberships SELECT 'owner/any', user_id, policies, created_on, mac FROM memberships")
    assert 0 == command(safe, "token", "refused-rows", "--delete", "--yes").returncode

    assert '"gone"' not in audited(safe)
    assert 0 == command(safe, "audit", "verify").returncode


def test_rows_are_accepted_as_shown(safe: Safe) -> None:
    """Accepted rows count as they were shown."""
    change(safe, "UPDATE tokens SET name = 'renamed by hand'")
    assert "renamed by hand" not in command(safe, "token", "list").stdout
    done = command(safe, "token", "refused-rows", "--accept", "--yes")

    assert (0, "Accepted 1 rows.\n") == (done.returncode, done.stderr)
    assert "renamed by hand" in command(safe, "token", "list").stdout
    assert "identities.accept" in audited(safe)


@pytest.mark.parametrize(
    "statement", ["policies = x'5b'", "policies = 'text'", "condition = x'5b5d'", "issued_on = 1.5"]
)
def test_malformed_rows_are_not_accepted(safe: Safe, statement: str) -> None:
    """A row that no identity can have is refused with its table and id, and can be deleted."""
    change(safe, f"UPDATE tokens SET {statement}")  # noqa: S608 - a statement from above
    done = command(safe, "token", "refused-rows", "--accept", "--yes")

    assert 1 == done.returncode
    assert "of tokens is malformed and cannot be accepted; delete it with: nightsafe token refused-rows --delete" in (
        done.stderr
    )
    assert 0 == command(safe, "token", "refused-rows", "--delete", "--yes").returncode
    assert [] == refused(safe)


def test_a_lost_key_needs_an_operator(safe: Safe) -> None:
    """Without the key, commands name the way out; `--accept` lists all rows, then makes a new key for them."""
    key_file(safe).unlink()
    listing = command(safe, "token", "list")
    rows = command(safe, "token", "refused-rows", "--json")
    deleting = command(safe, "token", "refused-rows", "--delete", "--yes")
    backup = command(safe, "backup", str(safe.path.parent / "backup.tar"))

    assert [1, 0, 1, 1] == [done.returncode for done in (listing, rows, deleting, backup)]
    assert "nightsafe token refused-rows --accept" in listing.stderr
    assert ROWS == [row["table"] for row in json.loads(rows.stdout)["rows"]]
    assert json.loads(rows.stdout)["key_lost"]
    assert f"{key_file(safe)} is missing" in deleting.stderr
    assert f"{key_file(safe)} is missing; no backup is made" in backup.stderr
    assert not key_file(safe).exists()
    accepted = command(safe, "token", "refused-rows", "--accept", "--yes")
    assert (0, 0o600) == (accepted.returncode, key_file(safe).stat().st_mode & 0o777)
    assert "restart the server" in accepted.stderr
    assert [] == refused(safe)
    assert "owner" in command(safe, "token", "list").stdout


def lose_key(server: Server) -> Safe:
    """Return a safe with a script, whose identity key is lost."""
    with Wire.to(server) as wire:
        wire.upload("worker")
        assert 200 == wire.put("worker", "TOKEN", "value").status
    server.stop()
    key_file(server.safe).unlink()
    return server.safe


def test_scripts_can_be_changed_after_the_key_was_lost(own_server: Server) -> None:
    """With a new key, scripts can be changed again: `--accept` compares the database with the log and renews MACs."""
    safe = lose_key(own_server)
    done = command(safe, "token", "refused-rows", "--accept", "--yes")

    assert 0 == done.returncode, done.stderr
    assert "Renewed the MACs of 1 script." in done.stderr
    own_server.start()
    with Wire.to(own_server) as wire:
        assert 200 == wire.put("worker", "TOKEN", "another value").status
        wire.upload("worker")
    assert 0 == command(safe, "audit", "verify").returncode
    assert 0 == json.loads(command(safe, "token", "refused-rows", "--json").stdout)["scripts"]


def test_changed_scripts_get_no_mac(own_server: Server) -> None:
    """No MAC is renewed while the database is not what the log says; after the repair, the command renews it."""
    safe = lose_key(own_server)
    change(safe, "UPDATE bindings SET kind = 'plain_text'")
    refusing = command(safe, "token", "refused-rows", "--accept", "--yes")
    doctor = command(safe, "doctor", "--json")
    change(safe, "UPDATE bindings SET kind = 'secret_text'")
    listed = json.loads(command(safe, "token", "refused-rows", "--json").stdout)
    found = json.loads(command(safe, "doctor", "--json").stdout)["findings"]
    renewing = command(safe, "token", "refused-rows", "--accept", "--yes")

    assert (1, 1, 0) == (refusing.returncode, doctor.returncode, renewing.returncode)
    assert "the MACs of scripts were not renewed: " in refusing.stderr
    assert ([], 1) == (listed["rows"], listed["scripts"])
    [finding] = [finding for finding in found if finding["what"] == "audit log"]
    assert "does not have the MAC that the identity key makes" in finding["found"]
    assert "nightsafe token refused-rows --accept" in finding["advice"]
    assert "Renewed the MACs of 1 script." in renewing.stderr


def test_wrong_options_are_refused(safe: Safe) -> None:
    """Both options, or JSON with a question, are a wrong command line."""
    assert 2 == command(safe, "token", "refused-rows", "--accept", "--json").returncode
    assert 2 == command(safe, "token", "refused-rows", "--accept", "--delete", "--yes").returncode


def examined(safe: Safe) -> list[dict[str, str]]:
    """Return what `doctor` finds about identities."""
    done = command(safe, "doctor", "--json", "--quick")
    return [finding for finding in json.loads(done.stdout)["findings"] if finding["what"] == "identities"]


def test_doctor_names_refused_rows(safe: Safe) -> None:
    """`doctor` fails for each refused row, with its table, its id and the way out."""
    assert ["ok"] == [finding["state"] for finding in examined(safe)]
    change(safe, "UPDATE users SET key_digest = x'00'")
    [finding] = examined(safe)

    assert "failed" == finding["state"]
    assert "of users was not written by Nightsafe, and does not count" in finding["found"]
    assert "restore a backup; or delete it and issue the credential again" in finding["advice"]
    key_file(safe).unlink()
    [finding] = examined(safe)
    assert f"{key_file(safe)} is missing: no token or user counts" == finding["found"]
    assert "nightsafe token refused-rows --accept" in finding["advice"]


def test_doctor_tells_an_older_safe_from_a_forged_one(safe: Safe) -> None:
    """Without MACs in the schema, `doctor` warns about an older safe, and fails for a safe that has its key."""
    drop_macs(safe.database)
    assert ["failed"] == [finding["state"] for finding in examined(safe)]
    key_file(safe).unlink()

    assert ["warning"] == [finding["state"] for finding in examined(safe)]


def test_serve_migrates_an_older_safe(safe: Safe) -> None:
    """`serve` makes the key of an older safe before it gives up its rights, and says so; old credentials count."""
    drop_macs(safe.database)
    key_file(safe).unlink()
    for _ in range(2):
        with Server(safe) as server, Wire.to(server) as wire:
            assert 200 == wire.ask("GET", SCRIPTS).status

    assert 1 == server.stderr.read_text().count(f"made {key_file(safe)} for a safe from before it")
    assert [] == refused(safe)


def test_an_older_backup_is_restored_in_words(safe: Safe) -> None:
    """A backup from before the key gets a key and MACs when it is restored, and `restore` says so."""
    drop_macs(safe.database)
    before = key_file(safe).read_bytes()
    key_file(safe).unlink()
    file, again = str(safe.path.parent / "backup.tar"), str(safe.path.parent / "again")
    assert 0 == command(safe, "backup", file).returncode
    assert not key_file(safe).exists()
    done = run("restore", file, "--data", again, cwd=safe.path.parent)

    assert 0 == done.returncode
    assert "is from before the identity key. Its tokens, users, memberships and accounts are accepted" in done.stderr
    restored = Path(again, "keys", "identity-key.json")
    assert 0o600 == restored.stat().st_mode & 0o777
    assert before != restored.read_bytes()
    assert "owner" in run("token", "list", "--data", again, cwd=safe.path.parent).stdout


def test_a_backup_of_a_forged_older_database_accepts_nothing(safe: Safe) -> None:
    """A backup of a safe with its key contains the key, whatever the database says; its rows are refused."""
    drop_macs(safe.database)
    file, again = str(safe.path.parent / "backup.tar"), str(safe.path.parent / "again")
    assert 0 == command(safe, "backup", file).returncode
    done = run("restore", file, "--data", again, cwd=safe.path.parent)

    assert 0 == done.returncode
    assert "do not count" in done.stderr
    listed = run("token", "refused-rows", "--data", again, "--json", cwd=safe.path.parent)
    assert ROWS == [row["table"] for row in json.loads(listed.stdout)["rows"]]


def test_a_backup_keeps_the_key_and_counts_refused_rows(safe: Safe) -> None:
    """A restored safe has the key of the backup; `restore` says how many of its rows do not count."""
    change(safe, "UPDATE users SET email = 'other@example.com'")
    file, again = str(safe.path.parent / "backup.tar"), str(safe.path.parent / "again")
    assert 0 == command(safe, "backup", file).returncode
    done = run("restore", file, "--data", again, cwd=safe.path.parent)

    assert 0 == done.returncode
    assert "1 rows of tokens, users, memberships and accounts" in done.stderr
    assert key_file(safe).read_bytes() == Path(again, "keys", "identity-key.json").read_bytes()
