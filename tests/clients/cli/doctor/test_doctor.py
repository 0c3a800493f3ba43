"""`nightsafe doctor`: a healthy safe passes, and each fault is found, named and has advice."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import NIGHTSAFE, Safe, Server, clean_environ, make_safe, run

from nightsafe.cli.data_directory.working_folders import WorkingFolder, new_path
from nightsafe.delivery.workerd.binary import VERSION, find_workerd
from nightsafe.sealing.rings.public_ring import PublicRing

ROOT = Path(__file__).parents[4]
ORDER = ("ok", "warning", "failed")


def examined(safe: Safe, *options: str, code: int, **environ: str) -> dict[str, dict[str, Any]]:
    """Return the worst finding of each check."""
    done = run("doctor", "--json", "--data", str(safe.path), *options, cwd=safe.path.parent, environ=environ)
    assert code == done.returncode, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["healthy"] == (code == 0)
    return {
        finding["what"]: finding for finding in sorted(said["findings"], key=lambda each: ORDER.index(each["state"]))
    }


def change(safe: Safe, statement: str) -> None:
    """Change the database by hand while no server uses it."""
    db = sqlite3.connect(safe.database)
    db.execute(statement)
    db.commit()
    db.close()


def test_a_healthy_safe_passes(own_server: Server) -> None:
    """All checks of a running server pass, also while values are written."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        assert wire.put("worker", "TOKEN", "value").status == 200
        found = examined(own_server.safe, code=0)
        quick = examined(own_server.safe, "--quick", code=0)

    expected = {"file modes", "database", "schema", "public ring", "signing key", "sealed values", "server"}
    assert expected <= {what for what, finding in found.items() if finding["state"] == "ok"}
    assert "1 accounts, 1 scripts, 1 secrets" == found["database"]["found"]
    assert own_server.base_url == found["server"]["found"]
    assert found.keys() == quick.keys()
    assert "warning" == found["private ring"]["state"]


def test_findings_are_a_coloured_table_in_a_terminal(safe: Safe) -> None:
    """In a terminal the findings are a coloured table, with advice below it."""
    safe.database.chmod(0o644)
    with Terminal([*NIGHTSAFE, "doctor", "--data", str(safe.path)], safe.path.parent, clean_environ()) as terminal:
        code = terminal.end()

    assert (1, True) == (code, "\x1b[31mfailed" in terminal.shown)
    assert f"file modes: run: chmod 0600 {safe.database}" in plain(terminal.shown)


def open_to_others(safe: Safe) -> None:
    """Let others read a key file."""
    (safe.path / "keys" / "signing-key.json").chmod(0o640)


def open_directory(safe: Safe) -> None:
    """Let others enter the data directory."""
    safe.path.chmod(0o755)


def no_ring(safe: Safe) -> None:
    """Remove a key file."""
    (safe.path / "keys" / "public-ring.json").unlink()


def broken_ring(safe: Safe) -> None:
    """Truncate a key file."""
    path = safe.path / "keys" / "public-ring.json"
    path.write_bytes(path.read_bytes()[:-10])


def keys_of_another(*names: str) -> Callable[[Safe], None]:
    """Return a change that replaces key files by those of another safe."""

    def exchange(safe: Safe) -> None:
        folder = safe.path.parent / "another"
        folder.mkdir()
        other = make_safe(folder)
        for name in names:
            (safe.path / name).write_bytes((other.path / name).read_bytes())

    return exchange


def older_ring(safe: Safe) -> None:
    """Make the public ring older than the last one in use."""
    change(safe, "UPDATE ring SET number = 7")


def retired_primary(safe: Safe) -> None:
    """Retire the primary key of the public ring."""
    primary = PublicRing.load(safe.path / "keys" / "public-ring.json").primary.id
    change(safe, f"INSERT INTO retired_keys VALUES ('{primary}', 1)")  # noqa: S608 - our own id


def newer(safe: Safe) -> None:
    """Set the schema version of a newer program."""
    change(safe, "PRAGMA user_version = 999")


def damaged(safe: Safe) -> None:
    """Overwrite pages of the database."""
    with safe.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


@pytest.mark.parametrize(
    ("harm", "what", "words"),
    [
        (open_to_others, "file modes", "signing-key.json has mode 0640"),
        (open_directory, "file modes", "has mode 0755"),
        (no_ring, "key files", "public-ring.json: cannot be read"),
        (broken_ring, "key files", "public-ring.json"),
        (keys_of_another("keys/verify-keys.json"), "signing key", "is not one of the verification keys"),
        (keys_of_another("keys/public-ring.json"), "private ring", ""),
        (newer, "schema", "version 999"),
        (older_ring, "given up keys", "its number is 1, and number 7 was in use before"),
        (retired_primary, "given up keys", "does not mark these retired keys as retired"),
        (damaged, "database", ""),
    ],
)
def test_a_fault_is_found(safe: Safe, harm: Callable[[Safe], None], what: str, words: str) -> None:
    """`doctor` exits with 1 and names the fault."""
    harm(safe)

    found = examined(safe, code=1)

    assert "failed" == found[what]["state"]
    assert words in found[what]["found"]


def test_a_version_from_the_future_gets_a_warning(own_server: Server) -> None:
    """A version with a later time than now gets a warning; the safe is still healthy."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    own_server.stop()
    day = 24 * 60 * 60 * 1_000_000
    change(own_server.safe, f"UPDATE versions SET created_on = created_on + {day}")  # noqa: S608 - the test's own

    found = examined(own_server.safe, "--quick", code=0)["clock"]

    assert "warning" == found["state"]
    assert "behind the newest version in the safe: the clock is behind now, or was ahead then" in found["found"]


def test_folders_of_interrupted_commands_are_named(safe: Safe) -> None:
    """The folders of an interrupted command and of a working one are named and not touched."""
    working, left = (WorkingFolder.create(new_path(safe.path.parent), "restore") for _ in range(2))
    left.unlock()

    done = run("doctor", "--json", "--quick", "--data", str(safe.path), cwd=safe.path.parent)

    findings = json.loads(done.stdout)["findings"]
    assert {
        f"{left.path}: left behind by an interrupted command",
        f"{working.path}: a command is working in it",
    } == {finding["found"] for finding in findings if finding["what"] == "unfinished"}
    assert left.path.exists()
    working.remove()


def test_values_sealed_to_unknown_keys_are_found(own_server: Server) -> None:
    """Values that are sealed to keys outside the ring are found."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    own_server.stop()
    ring = safe.path / "keys" / "public-ring.json"
    own = ring.read_bytes()
    keys_of_another("keys/public-ring.json", "delivery/private-ring.json")(safe)

    found = examined(safe, code=1)

    assert "sealed to keys that the ring does not have" in found["sealed values"]["found"]
    ring.write_bytes(own)
    own_server.start()


def test_an_older_ring_of_this_safe_is_told_from_a_foreign_one(own_server: Server) -> None:
    """A node without the ring of a rotation elsewhere learns where to get it, and not that it has foreign keys."""
    safe, ring = own_server.safe, own_server.safe.path / "keys" / "public-ring.json"
    older = ring.read_bytes()
    assert 0 == run("keys", "rotate", "--data", str(safe.path), cwd=safe.path.parent).returncode
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    own_server.stop()

    ring.write_bytes(older)
    found = examined(safe, code=1)
    for what in ("given up keys", "sealed values"):
        assert "from another node" in found[what]["advice"]
        assert "nightsafe keys install FILE" in found[what]["advice"]
    assert "is older than the safe's: its number is 1, and number 2" in found["given up keys"]["found"]

    keys_of_another("keys/public-ring.json")(safe)
    found = examined(safe, code=1)
    for what in ("given up keys", "sealed values"):
        assert "another safe" in found[what]["advice"]
    assert "belongs to another safe" in found["given up keys"]["found"]


def test_a_missing_safe_gets_advice(tmp_path: Path) -> None:
    """The message names the command that creates a safe."""
    done = run("doctor", "--data", "none", cwd=tmp_path)

    assert 1 == done.returncode
    assert "create one: nightsafe init" in done.stderr


@pytest.mark.parametrize(("days", "state"), [(-1, "failed"), (10, "warning"), (100, "ok")])
def test_certificates_that_expire_are_found(safe: Safe, tmp_path: Path, days: int, state: str) -> None:
    """Expired certificates fail, those that expire soon get a warning; the settings are those of `serve`."""
    certificate, key = certificate_for(tmp_path, days)

    found = examined(
        safe, code=int(state == "failed"), NIGHTSAFE_TLS_CERT=str(certificate), NIGHTSAFE_TLS_KEY=str(key)
    )

    assert state == found["TLS"]["state"], found["TLS"]


def test_tokens_that_expire_soon_get_a_warning(safe: Safe) -> None:
    """A token that expires soon gets a warning with its name and the remaining days."""
    assert "ok" == examined(safe, code=0)["tokens"]["state"]
    soon = ("--name", "of-ci", "--expires-in", "700000", "--permission", "Workers Scripts Read")
    made = json.loads(run("token", "create", *soon, "--json", "--data", str(safe.path), cwd=safe.path.parent).stdout)

    found = examined(safe, code=0)["tokens"]

    assert ("warning", f"of-ci ({made['id']}) expires in 8 days") == (found["state"], found["found"])
    assert "nightsafe token create" in found["advice"]


def test_the_certificate_in_use_is_checked(safe: Safe, tmp_path: Path) -> None:
    """`doctor` checks the certificate in use without any option, and warns if the file has a newer one."""
    certificate, key = certificate_for(tmp_path, 100)
    options = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Server(safe, *options):
        alone, same = examined(safe, code=0)["TLS"], examined(safe, *options, code=0)["TLS"]
        certificate_for(tmp_path, 200)
        newer = examined(safe, *options, code=0)["TLS"]

    for found in (alone, same):
        assert ("ok", "the certificate that is served is valid for 100 days") == (found["state"], found["found"])
    assert ("warning", "the certificate that is served is not the one in the file") == (
        newer["state"],
        newer["found"],
    )


def test_an_expired_or_unused_certificate_fails(safe: Safe, tmp_path: Path) -> None:
    """A server's expired certificate fails without any option; so does a certificate that a server does not use."""
    certificate, key = certificate_for(tmp_path, -1)
    options = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Server(safe, *options):
        assert "that is served expired 1 days ago" in examined(safe, code=1)["TLS"]["found"]
    with Server(safe):
        off, unused = examined(safe, code=0)["TLS"], examined(safe, *options, code=1)["TLS"]

    assert ("ok", True) == (off["state"], off["found"].startswith("off: http://"))
    assert "is plain HTTP, and a certificate is named here" in unused["found"]


def test_only_the_pinned_build_of_workerd_passes(safe: Safe, tmp_path: Path) -> None:
    """The build is identified by its hash; a missing or different build gets advice."""
    other = tmp_path / "workerd"
    other.write_text("#!/bin/sh\necho workerd 2026-11-17\n")
    other.chmod(0o755)
    absent = examined(safe, code=0, WORKERD_BIN=str(tmp_path / "none"))["workerd"]
    wrong = examined(safe, code=1, WORKERD_BIN=str(other))["workerd"]
    right = examined(safe, code=0, WORKERD_BIN=str(find_workerd(ROOT / ".workerd")))["workerd"]

    assert ["warning", "failed", "ok"] == [finding["state"] for finding in (absent, wrong, right)]
    assert VERSION in right["found"]
    assert all("make workerd" in finding["advice"] for finding in (absent, wrong))


def certificate_for(folder: Path, days: int) -> tuple[Path, Path]:
    """Make a certificate that expires after this many days; return its file and its key's file."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - 300 * day, now + days * day)
    certificate, key_file = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(builder.sign(key, None).public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key_file


def test_a_file_without_contents_is_found_and_a_backup_warns(own_server: Server) -> None:
    """The quick form of the doctor names a script whose code is missing; `backup` warns and copies the rest."""
    safe, folder = own_server.safe, own_server.safe.path.parent
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    own_server.stop()
    assert "ok" == examined(safe, "--quick", code=0)["code"]["state"]
    change(safe, "DELETE FROM contents")

    found = examined(safe, "--quick", code=1)["code"]
    assert "failed" == found["state"]
    assert "of the script 'worker'" in found["found"]
    assert "upload the same code again" in found["advice"]
    for number, options in enumerate(((), ("--json",))):
        done = run("backup", f"{number}.tar", "--data", str(safe.path), *options, cwd=folder)
        assert 0 == done.returncode, done.stderr
        assert "Warning: the backup lacks code, because the contents of the file" in done.stderr
        assert (folder / f"{number}.tar").exists()
    assert json.loads(done.stdout)["lacks_code"] is True


@pytest.mark.parametrize("assignment", ["shown = '{}'", "kind = 'json'", "since = since + 1", "name = x'ff'"])
def test_a_changed_binding_is_found(own_server: Server, assignment: str) -> None:
    """The doctor names a binding whose public parts were changed, also one that no later write has touched."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    own_server.stop()
    assert "ok" == examined(safe, "--quick", code=0)["bindings"]["state"]
    change(safe, f"UPDATE bindings SET {assignment}")  # noqa: S608 - the test's own
    own_server.start()
    with Wire.to(own_server) as wire:
        assert 200 == wire.put("worker", "OTHER", "value").status

    found = examined(safe, "--quick", code=1)["bindings"]
    assert "failed" == found["state"]
    assert "of the script 'worker'" in found["found"]
    assert "nightsafe audit verify" in found["advice"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM bindings WHERE name = 'TOKEN'",
        """UPDATE bindings SET (since, sealed, key_id, digest, stated_in, position) =
        (SELECT from_version, sealed, key_id, digest, stated_in, position FROM binding_history)""",
        "UPDATE bindings SET sealed = substr(sealed, 1, length(sealed) - 5) || x'0102030405' WHERE name = 'TOKEN'",
        "UPDATE contents SET body = body || x'20'",
        """UPDATE uploads SET settings = replace(settings, '"compatibility_date":"2', '"compatibility_date":"1')""",
        "UPDATE versions SET annotations = '{}'",
        "UPDATE scripts SET live_version = 1, served_version = 1",
        "DELETE FROM scripts",
        "DELETE FROM tokens WHERE name = 'another'",
        "DELETE FROM log_groups",
    ],
)
def test_a_row_that_the_log_does_not_name_is_found(own_server: Server, statement: str) -> None:
    """Whatever was changed, put back or deleted by SQL, the doctor fails and names the first difference."""
    safe = own_server.safe
    assert (
        0
        == run(
            "token", "create", "--name=another", "--all-access", "--data", str(safe.path), cwd=safe.path.parent
        ).returncode
    )
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
        wire.put("worker", "TOKEN", "another value")
    own_server.stop()
    assert "ok" == examined(safe, code=0)["audit log"]["state"]
    change(safe, statement)

    found = examined(safe, code=1)["audit log"]
    assert "failed" == found["state"]
    assert found["advice"]


def test_a_deleted_script_takes_its_changed_rows_along(own_server: Server) -> None:
    """After a value of the history was changed, the doctor fails until the script is deleted and uploaded again."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
        wire.put("worker", "TOKEN", "another value")
        change(safe, "UPDATE binding_history SET sealed = zeroblob(length(sealed))")
        assert "failed" == examined(safe, code=1)["audit log"]["state"]
        assert 200 == wire.ask("DELETE", f"{SCRIPTS}/worker").status
        wire.upload("worker")
        assert 200 == wire.put("worker", "TOKEN", "value").status

    assert "ok" == examined(safe, code=0)["audit log"]["state"]
