"""The marks of scripts: what they refuse, what they let through, and their file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.proofs import stated
from tests.unit.api.tools.driver import Api, script_at
from tests.unit.api.tools.rotation import text, with_values
from tests.unit.api.tools.uploads import add, items
from tests.unit.delivery.tools.taker import Taker

from nightsafe.bundle.model import Bundle, BundleDeployment, BundleVersion
from nightsafe.delivery.cache import script_marks
from nightsafe.delivery.cache.script_marks import ScriptMark, ScriptMarks
from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey

KEY = SigningKey.generate()
ID = "0" * 32
SERVED = ScriptMark(ID, 4, 2, size=50, position=3, triggers_size=20, triggers_position=1)
OLDER = {
    "an earlier group commit": {"size": 49, "position": 9},
    "an earlier statement of the group commit": {"position": 2},
    "an older version": {"newest": 3, "size": 60},
    "an older deployment of the same version": {"place": 1, "size": 60},
    "older triggers": {"triggers_size": 19, "triggers_position": 9, "size": 60, "newest": 5},
    "an earlier deployment of another script": {"script_id": "1" * 32, "newest": 9, "size": 49},
}
LATER: dict[str, dict[str, Any]] = {
    "the same": {},
    "a later deployment": {"place": 3, "size": 51, "position": 0},
    "later triggers": {"triggers_size": 21, "triggers_position": 0},
    "a later script under the same name": {
        "script_id": "1" * 32, "newest": 1, "place": 0, "size": 60, "triggers_size": 60,
    },
}  # fmt: skip


def bundle(script: str = "s", size: int = 1, **members: Any) -> Bundle:
    """Return a stated bundle of a script."""
    version = BundleVersion(id=ID, percentage=100, created_on="", main_module="m.js", modules=())
    return stated(replace(Bundle(account_id="a", script=script, serial=1, versions=(version,)), **members), KEY, size)


def deleted(script: str = "s", serial: int = 1) -> Bundle:
    """Return the bundle of a script that does not exist."""
    return Bundle(account_id="a", script=script, serial=serial)


@pytest.mark.parametrize("older", OLDER.values(), ids=OLDER)
def test_an_older_state_is_found(older: dict[str, Any]) -> None:
    """A state whose deployment or triggers come before the served ones, in the log or by their order, is older."""
    part = "subdomain setting" if "triggers_size" in older else "deployment"

    assert part == SERVED.older_part_of(SERVED._replace(**older))


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_a_later_state_is_not_older(later: dict[str, Any]) -> None:
    """The same state is not older, and neither is a later one."""
    assert not SERVED.older_part_of(SERVED._replace(**later))


def test_a_deleted_script_never_comes_back() -> None:
    """After a deletion, every deployment of the same script is older, and those of another script stated before."""
    gone, other = SERVED.deleted(55), SERVED._replace(script_id="1" * 32, position=0)
    for older in (SERVED, SERVED._replace(size=99, newest=99), other._replace(size=55)):
        assert "deployment" == gone.older_part_of(older)

    assert not gone.older_part_of(other._replace(size=56))


async def test_the_refusal_says_why_an_older_deployment_is_offered(tmp_path: Path) -> None:
    """If the API says that it cannot offer the newest deployment, the refusal says to deploy a version again."""
    marks = ScriptMarks(tmp_path / "scripts.db")
    marks.remember(bundle("s", 5))
    await marks.flush()
    for reason in ({"behind": ("a binding cannot be served",)}, {"waiting": (ID,)}):
        with pytest.raises(NightsafeError, match=r"is not approved\. Deploy a version"):
            marks.check(bundle("s", 4, **reason))
    with pytest.raises(NightsafeError, match="somebody has put the script back"):
        marks.check(bundle("s", 4))


async def test_marks_survive_a_restart(tmp_path: Path) -> None:
    """Each script's mark is kept over a restart, in a file that only this user can read."""
    path = tmp_path / "scripts.db"
    marks = ScriptMarks(path)
    for one in (bundle("s", 5), bundle("t", 7), bundle("gone", 8), deleted("gone", 30)):
        marks.remember(one)
    await marks.flush()

    again = ScriptMarks(path)
    for passing in (bundle("s", 5), bundle("t", 9), bundle("other", 1), bundle("gone", 31, script_id="1" * 32)):
        again.check(passing)
    for refused in (bundle("s", 4), bundle("t", 6), bundle("gone", 30, script_id="1" * 32)):
        with pytest.raises(NightsafeError, match="older deployment"):
            again.check(refused)
    assert (3, 0) == (again.count("a"), again.count("b"))
    assert 0o600 == path.stat().st_mode & 0o777


async def test_names_that_were_never_served_are_not_kept(tmp_path: Path) -> None:
    """Requests for names without a script add no marks, however many there are."""
    marks = ScriptMarks(tmp_path / "scripts.db")
    for number in range(100):
        marks.remember(deleted(f"guess-{number}"))
    await marks.flush()

    assert 0 == marks.count("a")


async def test_many_marks_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand marks are written in a few transactions, and equal ones not at all."""
    batches, store = list[int](), script_marks._store

    def counted(path: Path, marks: dict[tuple[str, str], ScriptMark]) -> None:
        """Write a batch, and note its size."""
        batches.append(len(marks))
        store(path, marks)

    monkeypatch.setattr(script_marks, "_store", counted)
    marks, one = ScriptMarks(tmp_path / "scripts.db"), bundle()
    for _ in range(2):
        for number in range(10_000):
            marks.remember(replace(one, script=str(number)))
        await marks.flush()

    assert 10_000 == sum(batches) == ScriptMarks(tmp_path / "scripts.db").count("a")
    assert len(batches) < 5


async def test_a_failed_write_is_logged_and_made_up_for(tmp_path: Path) -> None:
    """A failed write is logged with the file; the marks count at once, and are written when the disk works again."""
    path = tmp_path / "folder" / "scripts.db"
    marks = ScriptMarks(path)
    with capture_logs() as logs:
        marks.remember(bundle("s", 5))
        await marks.flush()
    with pytest.raises(NightsafeError, match="older deployment"):
        marks.check(bundle("s", 4))
    path.parent.mkdir()
    marks.remember(bundle("t", 5))
    await marks.flush()

    assert ["marks.not_written"] == [log["event"] for log in logs]
    assert str(path) in logs[0]["reason"]
    assert 2 == ScriptMarks(path).count("a")


@pytest.mark.parametrize("content", [b"{}", b"no database" * 100])
def test_a_file_with_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file with other content is refused with a remedy, and stays as it is."""
    path = tmp_path / "scripts.db"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(NightsafeError, match="Delete it to start over"):
        ScriptMarks(path)

    assert content == path.read_bytes()


def test_another_database_is_refused(tmp_path: Path) -> None:
    """A database with another table of the same name is refused."""
    path = tmp_path / "scripts.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE scripts (name TEXT)")

    with pytest.raises(NightsafeError, match="Delete it to start over"):
        ScriptMarks(path)


@pytest.mark.parametrize("number", [(1 << 63) - 1, 1 << 63])
def test_a_number_out_of_range_is_refused(tmp_path: Path, number: int) -> None:
    """A deployment with a number that the file cannot hold is refused."""
    whole = bundle()
    assert whole.deployment is not None
    large = replace(whole, deployment=BundleDeployment(bytes(16), number, 0, whole.deployment.proof))
    with pytest.raises(NightsafeError, match="out of range"):
        ScriptMarks(tmp_path / "scripts.db").check(large)


async def test_a_new_marks_file_starts_without_marks_of_scripts(tmp_path: Path) -> None:
    """After somebody has deleted the marks file to start over, the marks of scripts do not count either."""
    path = tmp_path / "marks.json"
    serials = Serials(path)
    serials.raise_to("a", 5)
    serials.scripts.remember(bundle("s", 5))
    await serials.flush()
    assert 1 == Serials(path).scripts.count("a")
    path.unlink()

    assert 0 == Serials(path).scripts.count("a")


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API."""
    with Api(tmp_path) as made:
        yield made


def test_lawful_changes_pass(own_api: Api, tmp_path: Path) -> None:
    """A new value, a split, a rollback, other triggers, and a new script under the same name all pass.

    The delivery process restarts after each of them.
    """
    worker = script_at("worker")
    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": [text("TOKEN", "first")]}).status == 200
    assert "first" == Taker(own_api, tmp_path).value()
    assert own_api.put("worker", text("TOKEN", "second")).status == 200
    assert "second" == Taker(own_api, tmp_path).value()
    newest, oldest = (item["id"] for item in items(own_api, "worker"))
    for shares, count in (({newest: 60, oldest: 40}, 2), ({oldest: 100}, 1)):
        versions = [{"version_id": version_id, "percentage": share} for version_id, share in shares.items()]
        body = {"strategy": "percentage", "versions": versions}
        assert own_api.json("POST", f"{worker}/deployments?force=true", body).status == 200
        assert count == len(Taker(own_api, tmp_path).take().versions)
    assert "first" == Taker(own_api, tmp_path).value()
    for enabled in (False, True):
        assert own_api.json("POST", f"{worker}/subdomain", {"enabled": enabled}).status == 200
        assert enabled is not Taker(own_api, tmp_path).take().inner
    assert add(own_api, "worker").status == 200
    assert "first" == Taker(own_api, tmp_path).value()

    for again in ("third", "fourth"):
        assert own_api.send("DELETE", worker).status == 200
        if again == "fourth":
            assert () == Taker(own_api, tmp_path).take().versions
        metadata = {"main_module": "worker.js", "bindings": [text("TOKEN", again)]}
        assert own_api.upload("worker", metadata).status == 200
        assert again == Taker(own_api, tmp_path).value()


def test_resealed_values_pass(own_api: Api, tmp_path: Path) -> None:
    """A script passes after its values were resealed, which makes no deployment."""
    rotation = with_values(own_api, tmp_path)
    taker = Taker(rotation.api, tmp_path)
    before = taker.take()
    rotation.rotate()
    rotation.reseal()
    after = taker.take()

    assert before.deployment == after.deployment
    assert before.versions[0].bindings != after.versions[0].bindings
