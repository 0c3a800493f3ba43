"""Verification of a database with archived entries: complete with the archives; without them it says what is not."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest
from tests.unit.audit.tools.archived_safe import Lines, archive, exports, verify_with
from tests.unit.audit.tools.filled_safe import change, fill, newest_checkpoint, opened, verify
from tests.unit.audit.verification.test_attacks import ATTACKS

from nightsafe.audit.exports.joined import Archives
from nightsafe.audit.exports.json_lines import json_lines
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint

OF_ENTRIES = frozenset(
    {
        "entry text",
        "entry that is not an entry",
        "last entries",
        "last entry without statements",
        "another entry",
        "signed statements",
        "signed group",
    }
)
"""Attacks whose words differ when the entries are archived."""

Archived = tuple[bytes, list[Lines]]


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Archived:
    """Return a database whose entries are archived except the last ones, and its two archives."""
    folder = tmp_path_factory.mktemp("filled")
    return archive(folder, fill(folder), 100, 260)


@pytest.fixture(scope="module")
def archives(archived: Archived) -> list[Lines]:
    """Return the archives."""
    return archived[1]


@pytest.fixture
def db(archived: Archived) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(archived[0])) as db:
        yield db


def test_with_its_archives_a_database_verifies_as_before(db: sqlite3.Connection, archives: list[Lines]) -> None:
    """With all archives, also in another order, every entry and every row is compared with the log."""
    verified, reversed_ = verify_with(db, archives), verify_with(db, archives[::-1])

    assert verified == reversed_
    assert db.execute("SELECT archived FROM log_head").fetchone()[0] == verified.archived > 250
    assert (0, 0, 0) == (verified.older, verified.unread, verified.uncompared)


def test_without_archives_the_result_says_what_was_not_compared(db: sqlite3.Connection) -> None:
    """Without archives the archived entries are checked by their hashes, and rows that only they name are counted."""
    verified = verify(db)

    assert verified.archived == verified.unread > 250
    assert 10 < verified.uncompared
    assert 0 == verified.older


def test_a_checkpoint_from_before_the_archiving_still_counts(archived: Archived, db: sqlite3.Connection) -> None:
    """The log still continues a checkpoint whose entries are archived, because their hashes stay."""
    known = newest_checkpoint(archived[0])
    other = Checkpoint(known.origin, 50, b"\1" * 32)

    assert known.size == verify(db, known).entries
    with pytest.raises(DifferenceError, match="are not those of your checkpoint"):
        verify(db, other)


@pytest.mark.parametrize("attack", sorted(ATTACKS.keys() - OF_ENTRIES))
def test_with_its_archives_each_attack_is_found(db: sqlite3.Connection, archives: list[Lines], attack: str) -> None:
    """Each change of the database without the API is found, and named as if no entry was archived."""
    sql, words = ATTACKS[attack]
    change(db, *sql.split(";\n")[:-1])

    with pytest.raises(DifferenceError) as refusal:
        verify_with(db, archives)

    assert words in refusal.value.what or "archive" in refusal.value.what


SIGNED = (
    "binding's value",
    "older value of a binding",
    "value of another script",
    "proof of a value",
    "annotations",
    "traffic",
    "signature",
    "signed root",
    "hash of a tile",
    "binding's digest",
    "body of a file",
)


@pytest.mark.parametrize("attack", SIGNED)
def test_without_archives_changes_of_signed_rows_are_found(db: sqlite3.Connection, attack: str) -> None:
    """A row with a signed statement must fit it, although the entry that names the statement is archived."""
    sql, _ = ATTACKS[attack]
    change(db, *sql.split(";\n")[:-1])

    with pytest.raises(DifferenceError):
        verify(db)


EMPTIED = "UPDATE audit SET entry = x'' WHERE seq = (SELECT max(seq) - 3 FROM audit)"
CLAIMED = "UPDATE log_head SET archived = size"
RAISED = (
    "UPDATE log_head SET archived = (SELECT min(size) FROM log_groups WHERE size > archived)",
    "UPDATE audit SET entry = x'' WHERE seq <= (SELECT archived FROM log_head)",
)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([EMPTIED], "is missing, and the log does not say that it was archived"),
        (["UPDATE audit SET entry = x''", CLAIMED], "entries are archived, but the log does not"),
        (RAISED, "the number of archived entries, "),
        ([CLAIMED], "is archived, but the database has a text of it"),
        (["UPDATE log_head SET archived = 0"], "the text of entry 0 of the log is missing"),
        (["UPDATE audit SET entry = x'7b7d' WHERE seq = 9"], "entry 8 of the log is archived, but"),
        (["UPDATE audit SET leaf = zeroblob(32) WHERE seq = 9"], ""),
        (["DELETE FROM audit WHERE seq = 9"], "entry 8 of the log is missing"),
        (["DELETE FROM audit WHERE seq = 1"], "entry 0 of the log is missing"),
    ],
)
def test_entries_emptied_without_archiving_are_found(
    db: sqlite3.Connection, archives: list[Lines], statements: Sequence[str], words: str
) -> None:
    """Texts that were emptied, or are said to be archived, are found, with the archives and without them."""
    change(db, *statements)

    with pytest.raises(DifferenceError) as without:
        verify(db)
    with pytest.raises(DifferenceError) as refusal:
        verify_with(db, archives)

    assert words in without.value.what
    assert words in refusal.value.what or "neither in the database nor in the given archives" in refusal.value.what


def test_an_emptied_log_without_an_archiving_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a log that was never archived, no number of archived entries is believed."""
    with closing(opened(fill(tmp_path_factory.mktemp("filled"), secrets=3))) as db:
        change(db, "UPDATE log_head SET archived = 5", "UPDATE audit SET entry = x'' WHERE seq <= 5")

        with pytest.raises(DifferenceError, match="says that 5 entries are archived, but the log does not"):
            verify(db)


def edited(number: int, edit: Callable[[bytes], bytes]) -> Callable[[Lines], Lines]:
    """Return a change of one line."""
    return lambda lines: [edit(line) if at == number else line for at, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edited(9, lambda line: line.replace(b"@example", b"@elsewhere")), "the text of entry 8 in archive 0"),
        (edited(9, lambda _: b"\xff\n"), "line 10 of archive 0 is not an entry"),
        (lambda lines: lines[:9] + lines[10:], "entry 8 is missing in archive 0"),
        (lambda lines: lines[:-1], "archive 0 ends before entry"),
        (edited(0, lambda line: line.replace(b'"end":', b'"end":9')), "impossible indexes"),
        (lambda lines: [*lines, lines[-1]], "is missing in archive 0"),
        (edited(0, lambda line: line.replace(b"nightsafe/", b"nightsafe/1")), "the log's checkpoint"),
    ],
)
def test_a_changed_archive_is_refused(
    db: sqlite3.Connection, archives: list[Lines], edit: Callable[[Lines], Lines], words: str
) -> None:
    """A line of an archive that was changed, removed or added is found and named, with the archive."""
    with pytest.raises(DifferenceError) as refusal:
        verify_with(db, [edit(archives[0]), archives[1]])

    assert words in refusal.value.what


def test_a_missing_archive_is_named_by_its_first_entry(db: sqlite3.Connection, archives: list[Lines]) -> None:
    """If one of several archives is not given, the first entry that is nowhere is named."""
    first = json.loads(archives[1][1])["index"]

    with pytest.raises(
        DifferenceError, match=f"the text of entry {first} is neither in the database nor in the given"
    ):
        verify_with(db, archives[:1])
    with pytest.raises(DifferenceError, match="the text of entry 0 is neither"):
        verify_with(db, archives[1:])


def test_an_archive_of_another_log_is_refused(
    db: sqlite3.Connection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An archive of another safe does not count, although its own signature is right."""
    folder = tmp_path_factory.mktemp("another")
    _, others = archive(folder, fill(folder, secrets=3), 20)

    with pytest.raises(DifferenceError, match="entry 0 in archive 0 is not that of the log"):
        verify_with(db, others)
    with pytest.raises(DifferenceError, match="archive 0 is of the log 'nightsafe/"):
        Archives(exports(others), "nightsafe/another")


def test_an_export_from_before_counts_as_an_archive(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A full export from before the archiving has the texts too."""
    folder = tmp_path_factory.mktemp("filled")
    database = fill(folder, secrets=3)
    with closing(opened(database)) as db:
        export = list(json_lines(db, lambda _: None))
    database, archives = archive(folder, database, 20)
    with closing(opened(database)) as db:
        assert verify_with(db, [export]) == verify_with(db, [export, *archives]) == verify_with(db, archives)


def test_a_text_that_is_no_archive_is_refused(db: sqlite3.Connection) -> None:
    """A file of another form is refused as such."""
    with pytest.raises(NightsafeError, match="archive 0 is not an export of an audit log"):
        verify_with(db, [[b"{}\n"]])
