"""Data directories of each past schema, made by the last version that had it, opened by the present version."""

from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from tests.past_safe import ARCHIVES, Past, opened, put, served, stored_values, unpack
from tests.server import Server, run

from nightsafe.sealing.proven_record import PROVEN_MAGIC
from nightsafe.store.sqlite.engine.schema import migrations

NEVER_WRITTEN = {3, 10, 11}
"""Schemas that no version had: each came together with the next one."""


@pytest.fixture(params=sorted(ARCHIVES))
def past(request: pytest.FixtureRequest, tmp_path: Path) -> Past:
    """Return a data directory of a past schema."""
    return unpack(request.param, tmp_path)


def test_each_past_schema_has_a_data_directory() -> None:
    """Each schema that a version has had, before the present one, has an archive."""
    assert set(range(1, len(migrations()))) - NEVER_WRITTEN <= {int(number) for number in ARCHIVES}


def test_the_old_token_lists_every_secret(past: Past) -> None:
    """A server of the present version lists each secret with its kind, for the token and the key of that time."""
    with Server(past.safe) as server, httpx.Client(base_url=server.base_url) as client:
        for credentials in (
            {"Authorization": f"Bearer {past.safe.api_token}"},
            {"X-Auth-Email": past.safe.email, "X-Auth-Key": past.safe.api_key},
        ):
            for script, secrets in past.secrets.items():
                answer = client.get(f"/accounts/{past.safe.account_id}{script}/secrets", headers=credentials)
                assert 200 == answer.status_code
                assert secrets == answer.json()["result"]


def test_every_value_opens_before_and_after_the_migration(past: Past) -> None:
    """Each value opens for its place to the value that was put, as an older record and with its statement."""
    assert put(past) == opened(past)

    past.run("migrate", "--yes")

    assert put(past) == opened(past)
    assert {PROVEN_MAGIC} == {value.record[:4] for value in stored_values(past)}


def test_delivery_gets_the_same_before_and_after_the_migration(past: Past) -> None:
    """The bundles of all scripts are signed and stated, and their values open, before the migration and after it."""
    before = served(past)
    newest = {"BOUND" if name == "STORED" else name: values[-1] for name, values in past.values.items()}
    newest.pop("PAGE", None)
    assert newest.items() <= {*before}

    past.run("migrate", "--yes")

    assert before == served(past)


def test_the_log_verifies_before_and_after_the_migration(past: Past) -> None:
    """`audit verify` finds no difference, and after the migration every value is in the log."""
    past.upgrade()
    assert past.run("audit", "verify")["verified"]

    done = past.run("migrate", "--yes")

    assert (0, 0, [], False) == tuple(done[name] for name in ("older", "older_values", "refused_values", "open"))
    assert past.run("audit", "verify")["verified"]
    again = past.run("migrate", "--status")
    assert done | {"statements": 0} == again


def test_the_doctor_finds_it_healthy(past: Past) -> None:
    """`doctor` fails no check, before the first use, after it and after the migration."""
    assert past.run("doctor")["healthy"]
    past.upgrade()
    assert past.run("doctor")["healthy"]
    past.run("migrate", "--yes")
    findings = past.run("doctor")["findings"]
    assert "every value is in the log" in {one["found"] for one in findings}


def test_the_status_upgrades_nothing(past: Past) -> None:
    """`migrate --status` names the schema of an older safe, and changes no byte of it."""
    before = {path: path.read_bytes() for path in past.safe.path.rglob("*.*")}
    status = past.run("migrate", "--status")

    assert (True, len(migrations())) == (status["schema"] < len(migrations()), status["newest_schema"])
    assert before == {path: path.read_bytes() for path in past.safe.path.rglob("*.*")}


def test_the_doctor_finds_a_private_ring_beside_the_other_keys(tmp_path: Path) -> None:
    """`doctor` names the private ring in the place where early versions kept it, and where it belongs."""
    past = unpack("01", tmp_path)
    ring = past.safe.path / "keys" / "private-ring.json"
    [finding] = [one for one in past.run("doctor")["findings"] if one["what"] == "private ring"]
    assert f"mkdir -p -m 700 {past.safe.private_ring.parent}; mv {ring} {past.safe.private_ring}" in finding["advice"]

    past.safe.private_ring.parent.mkdir(mode=0o700)
    ring.rename(past.safe.private_ring)

    [finding] = [one for one in past.run("doctor")["findings"] if one["what"] == "private ring"]
    assert "anybody in control" in finding["found"]


def test_it_is_backed_up_and_restored(past: Past) -> None:
    """A backup of it becomes a safe with the same values, in which the old token counts."""
    folder = past.safe.path.parent
    past.upgrade()
    done = run("backup", "safe.tar", "--data", str(past.safe.path), cwd=folder)
    assert 0 == done.returncode, done.stderr
    done = run("restore", "safe.tar", "--data", str(folder / "restored"), cwd=folder)
    assert 0 == done.returncode, done.stderr

    restored = Past(replace(past.safe, path=folder / "restored"), past.secrets, past.values)
    (restored.safe.path / "delivery").mkdir(mode=0o700, exist_ok=True)
    past.private_ring.save(restored.safe.private_ring)

    assert put(past) == opened(restored)
    test_the_old_token_lists_every_secret(restored)
