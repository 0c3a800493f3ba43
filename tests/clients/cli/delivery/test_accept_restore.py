"""`nightsafe delivery accept-restore`: the only way to make delivery trust a log that was put back or exchanged."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from click.testing import CliRunner
from tests.proofs import stated
from tests.server import Safe, Server, make_safe, run

from nightsafe.bundle.log_proof import LogProof
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.delivery.accept_restore import _change, _refuse_gaps
from nightsafe.cli.main import cli
from nightsafe.cli.terminal import confirm
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.delivery.cache.serials import SeenLog, Serials
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.errors import NightsafeError
from nightsafe.merkle.proofs import consistency_proof
from nightsafe.merkle.statements import SignedStatements
from nightsafe.merkle.tiles import WIDTH, node_from_tiles
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.audit.transparency_log import TransparencyLog


class Place:
    """A safe on one machine with the marks file of its delivery process.

    Args:
        safe: the safe.
    """

    def __init__(self, safe: Safe) -> None:
        self.safe = safe
        self.directory = DataDirectory(safe.path)
        self.marks = safe.path / "delivery" / "delivery-marks.json"
        self.older = safe.path.parent / "older"

    def grow(self, count: int) -> None:
        """Append entries to the log."""
        for _ in range(count):
            done = run(
                "token", "create", "--data", str(self.safe.path), "--permission", "Nightsafe Delivery", "--no-expiry",
                cwd=self.safe.path.parent,
            )  # fmt: skip
            assert 0 == done.returncode, done.stderr

    def size(self) -> int:
        """Return the number of entries of the log."""
        return self.directory.run(lambda store: store.audit_head(self.safe.account_id)).number

    def follow(self) -> None:
        """Check the log and remember what was seen, as a delivery process does.

        Raises:
            NightsafeError: when delivery refuses the log.
        """

        async def check(store: Any) -> None:
            """Check the log and the account's newest serial."""
            source = MemorySource(self.safe.account_id, SigningKey.generate())
            source.log_proof = TransparencyLog(store).proof  # type: ignore[method-assign]
            serials, verifier = Serials(self.marks), VerifyKeys.load(self.directory.verify_keys)
            log_check = LogCheck(self.safe.account_id, source, verifier, serials)
            await log_check.check()
            serials.raise_to(self.safe.account_id, (await store.audit_head(self.safe.account_id)).number)
            await serials.flush()

        self.directory.run(check)

    def refuses(self) -> bool:
        """Return whether delivery refuses the log or a bundle of the account."""
        try:
            self.follow()
        except NightsafeError:
            return True
        return Serials(self.marks).get(self.safe.account_id) > self.size()

    def keep(self) -> None:
        """Keep a copy of the database."""
        shutil.copy(self.safe.database, self.older)

    def put_back(self) -> None:
        """Put the copy in place of the database."""
        for part in ("-wal", "-shm"):
            self.safe.database.with_name(f"nightsafe.db{part}").unlink(missing_ok=True)
        shutil.copy(self.older, self.safe.database)

    def accept(self, *arguments: str) -> CompletedProcess[str]:
        """Run the command."""
        cwd = self.safe.path.parent
        return run("delivery", "accept-restore", "--data", str(self.safe.path), *arguments, cwd=cwd)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a safe whose log delivery has seen, with a copy of its database from three entries before."""
    made = Place(make_safe(tmp_path))
    made.grow(1)
    made.keep()
    made.grow(3)
    made.follow()
    return made


@pytest.mark.parametrize("growth", [0, 2, 3, 5])
def test_a_put_back_database_is_served_only_after_the_command(place: Place, growth: int) -> None:
    """A put-back log is refused at every size; the command says what is lost, and delivery then goes on."""
    before = place.size()
    place.put_back()
    place.grow(growth)
    for _ in range(2):
        assert place.refuses()
    alone = place.accept()
    marks = place.marks.read_bytes()
    assert (2, "") == (alone.returncode, alone.stdout)
    assert "nothing was done: give --yes to accept the log" in alone.stderr
    assert place.refuses()
    assert marks == place.marks.read_bytes()

    done = place.accept("--yes", "--json")
    size = before - 3 + growth
    assert 0 == done.returncode, done.stderr
    assert f"Last seen: {before} entries, root " in done.stderr
    assert f"Now: {size} entries, root " in done.stderr
    loss = (
        f"At least {before - size} entries of the log are lost."
        if growth < 3
        else f"The log differs before entry {before}: at least one entry that was seen is lost."
    )
    floor = [f"The highest serial seen of the account goes back from {before} to {size}."] if growth < 3 else []
    result = json.loads(done.stdout)
    assert ([loss, *floor], True) == (result["losses"], result["accepted"])
    assert not place.refuses()
    place.grow(1)
    assert not place.refuses()


def mark_scripts(place: Place) -> None:
    """Remember two scripts of the account and one of another, as a delivery process does."""

    async def remember() -> None:
        """Remember the scripts in the file."""
        serials, key = Serials(place.marks), SigningKey.generate()
        for account_id, script in ((place.safe.account_id, "a"), (place.safe.account_id, "b"), ("f" * 32, "a")):
            version = BundleVersion(id="0" * 32, percentage=100, created_on="", main_module="m.js", modules=())
            bundle = Bundle(account_id=account_id, script=script, serial=1, versions=(version,))
            serials.scripts.remember(stated(bundle, key, size=1000))
        await serials.flush()

    asyncio.run(remember())


def marked_scripts(place: Place) -> tuple[int, int]:
    """Return how many scripts of the account, and of the other one, have a mark in the file."""
    scripts = Serials(place.marks).scripts
    return scripts.count(place.safe.account_id), scripts.count("f" * 32)


def test_the_marks_of_scripts_are_forgotten_with_the_log(place: Place) -> None:
    """The command says that it forgets the marks of the account's scripts, and keeps those of other accounts.

    They may belong to entries that the accepted log does not have. Without `--yes`, they stay.
    """
    mark_scripts(place)
    place.put_back()
    assert 2 == place.accept().returncode
    assert (2, 1) == marked_scripts(place)
    done = place.accept("--yes", "--json")

    assert 0 == done.returncode, done.stderr
    assert "The marks of all scripts (2) are forgotten" in json.loads(done.stdout)["losses"][-1]
    assert (0, 1) == marked_scripts(place)


def test_times_of_approvals_are_forgotten_only_when_asked(place: Place) -> None:
    """Delivery goes on refusing earlier approvals after the command, which says so; an option forgets them."""

    async def approve() -> None:
        """Remember when a script was approved."""
        serials = Serials(place.marks)
        serials.raise_approved_at(place.safe.account_id, "worker", 1000)
        await serials.flush()

    asyncio.run(approve())
    place.put_back()
    kept = place.accept("--yes")
    assert "no version that was approved earlier is served" in kept.stderr
    assert 1000 == Serials(place.marks).approved_at(place.safe.account_id, "worker")

    place.grow(3)
    place.follow()
    place.put_back()
    forgotten = place.accept("--yes", "--forget-approvals")
    assert (0, 0) == (kept.returncode, forgotten.returncode)
    assert 0 == Serials(place.marks).approved_at(place.safe.account_id, "worker")


def test_the_marks_of_scripts_stay_with_a_log_that_continues(place: Place) -> None:
    """For a log that has only grown, the command keeps the marks of scripts."""
    mark_scripts(place)
    place.grow(1)

    assert 0 == place.accept("--yes").returncode
    assert (2, 1) == marked_scripts(place)


def test_a_restored_safe_is_served_only_after_the_command(place: Place, tmp_path: Path) -> None:
    """`restore --force` carries the marks over and says so: delivery refuses the safe until the command."""
    backup, data = str(tmp_path / "safe.tar"), ("--data", str(place.safe.path))
    assert 0 == run("backup", backup, *data, cwd=tmp_path).returncode
    place.grow(2)
    place.follow()
    done = run("restore", backup, "--force", *data, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert "Carried over from it: delivery/delivery-marks.json.\n" in done.stderr
    assert f"run: nightsafe delivery accept-restore --data {place.safe.path}\n" in done.stderr
    assert place.refuses()

    done = place.accept("--yes", "--json")
    assert 0 == done.returncode, done.stderr
    assert ["At least 2 entries of the log are lost."] == json.loads(done.stdout)["losses"][:1]
    assert not place.refuses()


def test_a_log_that_continues_needs_nothing(place: Place) -> None:
    """For a log that has only grown, the command says so, asks nothing and changes nothing."""
    place.grow(1)
    marks = place.marks.read_bytes()
    done = place.accept()

    assert (0, marks) == (done.returncode, place.marks.read_bytes())
    assert "continues the one seen last" in done.stderr
    assert "Nothing was changed." in done.stderr


def test_another_safe_is_another_log(place: Place, tmp_path: Path) -> None:
    """A database of another safe under the same keys is another log: the command names both, and may accept it."""
    (tmp_path / "second").mkdir()
    other = make_safe(tmp_path / "second")
    shutil.copy(place.directory.signing_key, other.path / "keys" / "signing-key.json")
    shutil.copy(place.directory.verify_keys, other.path / "keys" / "verify-keys.json")
    shutil.copy(place.marks, other.path / "delivery" / "delivery-marks.json")
    exchanged = Place(other)
    exchanged.grow(1)
    assert exchanged.refuses()
    done = exchanged.accept("--yes", "--json")

    assert 0 == done.returncode, done.stderr
    assert "This is another log: none of the " in json.loads(done.stdout)["losses"][0]
    assert 2 == len({line.rpartition(" ")[2] for line in done.stderr.splitlines() if ", log " in line})
    assert not exchanged.refuses()


def test_a_log_of_another_signer_is_never_accepted(place: Place, tmp_path: Path) -> None:
    """A checkpoint that no trusted key has signed is refused, also with `--yes`, and the marks stay."""
    place.put_back()
    keys, marks = tmp_path / "keys.json", place.marks.read_bytes()
    VerifyKeys([SigningKey.generate().verify_key]).save(keys)
    done = place.accept("--yes", "--verify-keys", str(keys))

    assert (1, marks) == (done.returncode, place.marks.read_bytes())
    assert "no trusted key has signed the checkpoint" in done.stderr


def test_a_running_delivery_process_must_be_stopped(place: Place) -> None:
    """While a delivery process holds the marks file, the command refuses and says to stop it."""
    place.put_back()
    held, marks = Serials(place.marks), place.marks.read_bytes()
    held.acquire()
    try:
        done = place.accept("--yes")
    finally:
        held.release()

    assert (1, marks) == (done.returncode, place.marks.read_bytes())
    assert f"a delivery process uses {place.marks}; stop it first" in done.stderr


def test_without_a_marks_file_there_is_nothing_to_accept(place: Place) -> None:
    """A missing marks file is refused with the options that name another one; none is created."""
    place.marks.unlink()
    done = place.accept("--yes")

    assert (1, False) == (done.returncode, place.marks.exists())
    assert "--marks or --private-ring" in done.stderr


def test_an_account_that_is_absent_is_refused(place: Place) -> None:
    """An account that the database does not have is refused, and the marks stay."""
    marks = place.marks.read_bytes()
    done = place.accept("--yes", "--account-id", "f" * 32)

    assert (1, marks) == (done.returncode, place.marks.read_bytes())


def test_it_asks_at_a_terminal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal it asks, with the loss in the question; the answer "n" changes nothing, "y" accepts."""
    place.put_back()
    monkeypatch.setattr(confirm, "is_interactive", lambda: True)
    line = ["delivery", "accept-restore", "--data", str(place.safe.path)]
    no = CliRunner().invoke(cli, line, input="n\n")
    assert 1 == no.exit_code
    assert "entries of the log are lost." in no.stderr
    assert f"Trust this log of account {place.safe.account_id} from now on? [y/N]" in no.stderr
    assert place.refuses()

    yes = CliRunner().invoke(cli, line, input="y\n")
    assert 0 == yes.exit_code, yes.output
    assert not place.refuses()


def lose_entry(database: Path, index: int) -> None:
    """Delete an entry of the log without the API."""
    with closing(sqlite3.connect(database)) as db:
        (trigger,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'audit_is_never_cut'").fetchone()
        db.execute("DROP TRIGGER audit_is_never_cut")
        db.execute("DELETE FROM audit WHERE seq = ?", (index + 1,))
        db.execute(trigger)
        db.commit()


@pytest.mark.parametrize("index", [0, 2, -2, -1])
def test_a_log_with_a_gap_is_not_accepted(place: Place, index: int) -> None:
    """A log that lacks an entry is refused with the way out, also with `--yes`, and the marks stay."""
    place.put_back()
    place.grow(2)
    size, marks = place.size(), place.marks.read_bytes()
    lose_entry(place.safe.database, index % size)
    done = place.accept("--yes")

    assert (1, marks) == (done.returncode, place.marks.read_bytes())
    assert f"between the entries 0 and {size - 1}, one is missing or was changed" in done.stderr
    assert "nightsafe audit verify" in done.stderr


@pytest.mark.parametrize("size", [4, 5, 256, 259, 260, 515, 600])
def test_a_gap_is_found_in_every_tile(size: int) -> None:
    """Each entry of a log counts, whatever its size: without one of them, the log is refused."""
    signer = SigningKey.generate()
    verifier = VerifyKeys([signer.verify_key])
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    tiles = [root_of(leaves[start : start + WIDTH]) for start in range(0, size // WIDTH * WIDTH, WIDTH)]
    note = SignedStatements.sign("log", size, root_of(leaves), [], signer.id, signer.sign_message).note(signer.public)

    async def prove(lost: int | None) -> None:
        """Check the log without an entry, with the hashes of the full tiles as they were stored."""
        left = {number: leaf for number, leaf in enumerate(leaves) if number != lost}

        def hashes(level: int, start: int, count: int) -> list[bytes]:
            """Return the hashes of a tile that are left."""
            if level:
                return tiles[start : start + count]
            return [left[number] for number in range(start, start + count) if number in left]

        async def log_proof(old: int) -> LogProof:
            """Prove that the log begins with an older one."""
            return LogProof(note, tuple(consistency_proof(old, size, node_from_tiles(hashes))))

        await _refuse_gaps(size, log_proof, verifier)

    asyncio.run(prove(None))
    for lost in {0, 1, 2, 3, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH, size - 2, size - 1} & set(range(size)):
        with pytest.raises(CommandError, match="one is missing or was changed"):
            asyncio.run(prove(lost))


@pytest.fixture
def far(place: Place, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the options of a delivery machine, whose API serves the put-back database."""
    token = tmp_path / "token"
    place.put_back()
    made = run(
        "token", "create", "--data", str(place.safe.path), "--permission", "Nightsafe Delivery", "--no-expiry",
        cwd=tmp_path,
    )  # fmt: skip
    token.touch(0o600)
    token.write_text(made.stdout)
    machine = tmp_path / "machine"
    machine.mkdir()
    for path in (place.marks, place.safe.private_ring, place.directory.verify_keys):
        shutil.copy(path, machine)
    with Server(place.safe) as server:
        ring, keys = machine / "private-ring.json", machine / "verify-keys.json"
        yield ("--data", str(tmp_path / "none"), "--api", server.base_url, "--token-file", str(token),
               "--private-ring", str(ring), "--verify-keys", str(keys))  # fmt: skip


def test_on_the_delivery_machine_it_asks_the_api(place: Place, far: tuple[str, ...], tmp_path: Path) -> None:
    """With an address and a token, the command compares the marks with the API's own signed answers."""
    done = run("delivery", "accept-restore", *far, "--yes", "--json", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)
    serials = Serials(tmp_path / "machine" / "delivery-marks.json")

    assert place.safe.account_id == result["account_id"]
    assert result["serial"] == serials.get(place.safe.account_id) == place.size()
    seen = serials.log(place.safe.account_id)
    assert isinstance(seen, SeenLog)
    assert result["entries"] == seen.size
    again = run("delivery", "accept-restore", *far, cwd=tmp_path)
    assert (0, True) == (again.returncode, "Nothing was changed." in again.stderr)


def test_an_api_that_is_away_changes_nothing(place: Place, tmp_path: Path) -> None:
    """If the API cannot be reached, the command says so and the marks stay."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("nst_x")
    marks = place.marks.read_bytes()
    done = run(
        "delivery", "accept-restore", "--api", "http://127.0.0.1:1/client/v4", "--token-file", str(token),
        "--data", str(place.safe.path), "--account-id", place.safe.account_id, "--yes", cwd=tmp_path,
    )  # fmt: skip

    assert (1, marks) == (done.returncode, place.marks.read_bytes())
    assert "the API cannot be reached" in done.stderr


def test_an_empty_log_cannot_be_accepted() -> None:
    """A log without entries has no signed checkpoint, so there is nothing to accept."""

    async def nothing(_: int) -> LogProof:
        """Answer for a log without entries."""
        return LogProof(b"", ())

    verifier = VerifyKeys([SigningKey.generate().verify_key])
    with pytest.raises(NightsafeError, match="no entry yet"):
        asyncio.run(_change("a", 0, nothing, verifier, Serials(Path("/nonexistent/marks.json"))))
