"""`nightsafe doctor`: a sound safe passes, and each thing that can be wrong is found, named, and has a way out."""

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
from tests.clients.wire.talk import Wire
from tests.server import NIGHTSAFE, Safe, Server, clean_environ, make_safe, run

from nightsafe.cli.data_directory.workshop import Workshop, new_path
from nightsafe.delivery.workerd.binary import VERSION, find
from nightsafe.sealing.rings.public_ring import PublicRing

ROOT = Path(__file__).parents[4]
ORDER = ("ok", "warning", "failed")


def examined(safe: Safe, *options: str, code: int, **environ: str) -> dict[str, dict[str, Any]]:
    """What is found, by what was looked at; of several the worst."""
    done = run("doctor", "--json", "--data", str(safe.path), *options, cwd=safe.path.parent, environ=environ)
    assert code == done.returncode, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["healthy"] == (code == 0)
    return {one["what"]: one for one in sorted(said["findings"], key=lambda one: ORDER.index(one["state"]))}


def change(safe: Safe, statement: str) -> None:
    """Alter the database by hand, with nobody serving it."""
    db = sqlite3.connect(safe.database)
    db.execute(statement)
    db.commit()
    db.close()


def test_a_sound_safe(own_server: Server) -> None:
    """While it is served everything is found in order, whatever is put meanwhile; nothing is changed."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        assert wire.put("worker", "TOKEN", "value").status == 200
        found = examined(own_server.safe, code=0)
        quick = examined(own_server.safe, "--quick", code=0)

    expected = {"file modes", "database", "schema", "public ring", "signing key", "sealed values", "server"}
    assert expected <= {what for what, one in found.items() if one["state"] == "ok"}
    assert "1 accounts, 1 scripts, 1 secrets" == found["database"]["found"]
    assert own_server.base_url == found["server"]["found"]
    assert found.keys() == quick.keys()
    assert "warning" == found["private ring"]["state"]


def test_for_people(safe: Safe) -> None:
    """At a terminal it is a table in colours, and below it what to do."""
    safe.database.chmod(0o644)
    with Terminal([*NIGHTSAFE, "doctor", "--data", str(safe.path)], safe.path.parent, clean_environ()) as terminal:
        code = terminal.end()

    assert (1, True) == (code, "\x1b[31mfailed" in terminal.shown)
    assert f"file modes: run: chmod 0600 {safe.database}" in plain(terminal.shown)


def open_to_others(safe: Safe) -> None:
    """A key file that others may read."""
    (safe.path / "keys" / "signing-key.json").chmod(0o640)


def open_directory(safe: Safe) -> None:
    """A directory that others may enter."""
    safe.path.chmod(0o755)


def no_ring(safe: Safe) -> None:
    """A key file is missing."""
    (safe.path / "keys" / "public-ring.json").unlink()


def broken_ring(safe: Safe) -> None:
    """A key file is cut."""
    path = safe.path / "keys" / "public-ring.json"
    path.write_bytes(path.read_bytes()[:-10])


def keys_of_another(*names: str) -> Callable[[Safe], None]:
    """Key files of another safe in place of its own."""

    def exchange(safe: Safe) -> None:
        folder = safe.path.parent / "another"
        folder.mkdir()
        other = make_safe(folder)
        for name in names:
            (safe.path / name).write_bytes((other.path / name).read_bytes())

    return exchange


def older_ring(safe: Safe) -> None:
    """A public ring of an earlier rotation."""
    change(safe, "UPDATE ring SET number = 7")


def retired_primary(safe: Safe) -> None:
    """A public ring whose primary key was given up."""
    primary = PublicRing.load(safe.path / "keys" / "public-ring.json").primary.id
    change(safe, f"INSERT INTO retired_keys VALUES ('{primary}', 1)")  # noqa: S608 - an id of ours


def newer(safe: Safe) -> None:
    """A schema of a newer program."""
    change(safe, "PRAGMA user_version = 999")


def damaged(safe: Safe) -> None:
    """Pages of the database are gone."""
    with safe.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def from_tomorrow(safe: Safe) -> None:
    """A version made later than now."""
    tomorrow = int((dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).timestamp() * 1_000_000)
    columns = [row[1] for row in sqlite3.connect(safe.database).execute("PRAGMA table_info(versions)")]
    values = ", ".join(str(tomorrow) if one == "created_on" else "0" for one in columns)
    change(safe, f"INSERT INTO versions VALUES ({values})")  # noqa: S608 - figures


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
        (older_ring, "given-up keys", "its number is 1, and number 7 was in use before"),
        (retired_primary, "given-up keys", "does not mark these retired keys as retired"),
        (damaged, "database", ""),
    ],
)
def test_what_is_wrong_is_found(safe: Safe, harm: Callable[[Safe], None], what: str, words: str) -> None:
    """It ends with 1, names what is wrong and says what to do."""
    harm(safe)

    found = examined(safe, code=1)

    assert "failed" == found[what]["state"]
    assert words in found[what]["found"]


def test_after_a_clock_that_was_ahead(safe: Safe) -> None:
    """Versions from then stay newer than now: that is told, and the safe is healthy all the same."""
    from_tomorrow(safe)

    found = examined(safe, code=0)["clock"]

    assert "warning" == found["state"]
    assert "behind the newest version in the safe: the clock is behind now, or was ahead then" in found["found"]


def test_what_was_left_behind(safe: Safe) -> None:
    """What an interrupted command has left is named and not touched, and so is one that is at work."""
    working, left = (Workshop.begin(new_path(safe.path.parent), "restore") for _ in range(2))
    left.release()

    done = run("doctor", "--json", "--quick", "--data", str(safe.path), cwd=safe.path.parent)

    told = {one["found"] for one in json.loads(done.stdout)["findings"] if one["what"] == "unfinished"}
    assert {
        f"{left.path}: left behind by an interrupted command",
        f"{working.path}: a command is working in it",
    } == told
    assert left.path.exists()
    working.remove()


def test_values_that_nobody_could_open(own_server: Server) -> None:
    """When values are sealed to keys that the ring does not have, it is found."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    own_server.stop()
    keys_of_another("keys/public-ring.json", "delivery/private-ring.json")(safe)

    found = examined(safe, code=1)

    assert "sealed to keys that the ring does not have" in found["sealed values"]["found"]
    own_server.start()


def test_no_safe(tmp_path: Path) -> None:
    """It says how to make one."""
    done = run("doctor", "--data", "none", cwd=tmp_path)

    assert 1 == done.returncode
    assert "create one: nightsafe init" in done.stderr


@pytest.mark.parametrize(("days", "state"), [(-1, "failed"), (10, "warning"), (100, "ok")])
def test_certificates_run_out(safe: Safe, tmp_path: Path, days: int, state: str) -> None:
    """One that has is found, and one that soon will; the settings are those of `serve`."""
    certificate, key = certificate_for(tmp_path, days)

    found = examined(
        safe, code=int(state == "failed"), NIGHTSAFE_TLS_CERT=str(certificate), NIGHTSAFE_TLS_KEY=str(key)
    )

    assert state == found["TLS"]["state"], found["TLS"]


def test_tokens_that_end_soon(safe: Safe) -> None:
    """Each is named while there is time to renew it, and is no failure."""
    assert "ok" == examined(safe, code=0)["tokens"]["state"]
    soon = ("--name", "of-ci", "--expires-in", "700000", "--permission", "Workers Scripts Read")
    made = json.loads(run("token", "create", *soon, "--json", "--data", str(safe.path), cwd=safe.path.parent).stdout)

    found = examined(safe, code=0)["tokens"]

    assert ("warning", f"of-ci ({made['id']}) expires in 8 days") == (found["state"], found["found"])
    assert "nightsafe token create" in found["advice"]


def test_tls_as_it_is_served(safe: Safe, tmp_path: Path) -> None:
    """What the server shows is told without any option; a file that it has not taken up is told beside it."""
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


def test_a_certificate_that_runs_out_is_served(safe: Safe, tmp_path: Path) -> None:
    """It fails, although the command was told of no file; so does a server without TLS where a file is named."""
    certificate, key = certificate_for(tmp_path, -1)
    options = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Server(safe, *options):
        assert "that is served expired 1 days ago" in examined(safe, code=1)["TLS"]["found"]
    with Server(safe):
        off, unused = examined(safe, code=0)["TLS"], examined(safe, *options, code=1)["TLS"]

    assert ("ok", True) == (off["state"], off["found"].startswith("off: http://"))
    assert "is plain HTTP, and a certificate is named here" in unused["found"]


def test_a_runtime_of_the_pinned_build(safe: Safe, tmp_path: Path) -> None:
    """It is known by its hash; where there is none, or another build, the way out is told."""
    other = tmp_path / "workerd"
    other.write_text("#!/bin/sh\necho workerd 2026-11-17\n")
    other.chmod(0o755)
    absent = examined(safe, code=0, WORKERD_BIN=str(tmp_path / "none"))["workerd"]
    wrong = examined(safe, code=1, WORKERD_BIN=str(other))["workerd"]
    right = examined(safe, code=0, WORKERD_BIN=str(find(ROOT / ".workerd")))["workerd"]

    assert ["warning", "failed", "ok"] == [one["state"] for one in (absent, wrong, right)]
    assert VERSION in right["found"]
    assert all("make workerd" in one["advice"] for one in (absent, wrong))


def certificate_for(folder: Path, days: int) -> tuple[Path, Path]:
    """A certificate that is good for so many days, and its key."""
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
