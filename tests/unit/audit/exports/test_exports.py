"""Exports of the log: JSON lines verify alone, each change of them is found, and CSV is safe for spreadsheets."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.audit.tools.archived_safe import archive
from tests.unit.audit.tools.filled_safe import KEYS, fill, newest_checkpoint, opened

from nightsafe.audit.exports.csv_table import COLUMNS, _cell, csv_lines
from nightsafe.audit.exports.joined import VerifiedExports, verify_exports
from nightsafe.audit.exports.json_lines import Export, json_lines
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database with a log of several tiles."""
    return fill(tmp_path_factory.mktemp("filled"))


@pytest.fixture
def db(database: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(database)) as db:
        yield db


@pytest.fixture(scope="module")
def lines(database: bytes) -> list[bytes]:
    """Return the lines of an export."""
    with closing(opened(database)) as db:
        return list(json_lines(db, lambda _: None))


def verified(lines: list[bytes], known: Checkpoint | None = None, keys: VerifyKeys = KEYS) -> VerifiedExports:
    """Verify an export."""
    return verify_exports([Export(lines, keys)], known, lambda _: None)


def test_an_export_verifies_alone(lines: list[bytes], db: sqlite3.Connection, database: bytes) -> None:
    """An export has every entry byte for byte, and verifies with nothing else than the public keys."""
    entries = [row[0] for row in db.execute("SELECT entry FROM audit ORDER BY seq")]

    assert len(entries) == verified(lines).end == verified(lines, newest_checkpoint(database)).end
    assert all(b'"entry":' + entry in line for entry, line in zip(entries, lines[1:], strict=True))


def edited(number: int, edit: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    """Return a change of one line."""
    return lambda lines: [edit(line) if at == number else line for at, line in enumerate(lines)]


def other_leaf(line: bytes) -> bytes:
    """Exchange the leaf hash of a line."""
    return json.dumps({**json.loads(line), "leaf": "A" * 43 + "="}).encode() + b"\n"


def without_proof(line: bytes) -> bytes:
    """Remove the last hash of the proof of a line."""
    fields = json.loads(line)
    return line.replace(b',"%b"]}' % fields["proof"][-1].encode(), b"]}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edited(9, lambda line: line.replace(b"owner@", b"eve@")), "the text of entry 8"),
        (edited(9, other_leaf), "the text of entry 8"),
        (edited(9, without_proof), "the proof of entry 8"),
        (edited(9, lambda line: b'{"entry":{"action":"forged"},' + line[1:]), "line 10 of the export has more"),
        (edited(9, lambda line: line.replace(b'"leaf"', b' "leaf"')), "line 10 of the export has more"),
        (edited(9, lambda _: b"[]\n"), "line 10 of the export"),
        (edited(9, lambda _: b"\xff\n"), "line 10 of the export"),
        (lambda lines: lines[:9] + lines[10:], "entry 8 is missing"),
        (lambda lines: lines[:-1], "the export ends before entry"),
        (lambda lines: [*lines, lines[-1]], "is missing"),
        (edited(0, lambda line: line.replace(b"nightsafe/", b"nightsafe/1")), "the log's checkpoint"),
    ],
)
def test_a_changed_export_is_refused(
    lines: list[bytes], change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    """A line that was changed, removed or added is found and named."""
    with pytest.raises(DifferenceError) as refusal:
        verified(change(lines))

    assert words in refusal.value.what


@pytest.mark.parametrize(
    ("head", "kept"),
    [(b',"first":15}', slice(16, None)), (b',"end":10}', slice(1, 11)), (b',"first":3}', slice(4, None))],
)
def test_a_part_of_an_export_is_told_apart(lines: list[bytes], head: bytes, kept: slice) -> None:
    """An export whose first line was changed to fit the lines that are left is not whole."""
    assert verified(lines).is_whole
    part = [lines[0].rstrip().removesuffix(b"}") + head + b"\n", *lines[kept]]

    assert not verified(part).is_whole


@pytest.mark.parametrize("first", [b"", b"{}\n", b"\xff\n", b"[" * 9999, b'{"format":"another","checkpoint":""}\n'])
def test_another_file_is_refused(first: bytes) -> None:
    """A file that is not an export is refused as such."""
    with pytest.raises(NightsafeError, match="not an export"):
        verified([first])


def test_an_export_of_another_past_is_refused(lines: list[bytes], database: bytes) -> None:
    """An export must continue a kept checkpoint, and be signed by a given key."""
    known = newest_checkpoint(database)
    with pytest.raises(DifferenceError, match="are not those of your checkpoint"):
        verified(lines, Checkpoint(known.origin, 9, known.root))
    with pytest.raises(DifferenceError, match="no trusted key has signed"):
        verified(lines, keys=VerifyKeys([SigningKey.generate().verify_key]))


def test_an_export_begins_after_the_archived_entries(tmp_path: Path) -> None:
    """An export without the archived entries verifies alone, and together with the archives, however they overlap."""
    database, archives = archive(tmp_path, fill(tmp_path, secrets=3), 10, 20)
    with closing(opened(database)) as db:
        export = list(json_lines(db, lambda _: None))
        kept = len(list(csv_lines(db, lambda _: None))) - 1
        size, count = db.execute("SELECT size, archived FROM log_head").fetchone()

    def verify_all(*parts: list[bytes], known: Checkpoint | None = None) -> tuple[int, int, int, bool]:
        """Verify exports together; return what they have, and whether that is all."""
        verified = verify_exports([Export(lines, KEYS) for lines in parts], known, lambda _: None)
        return (*verified[:3], verified.is_whole)

    assert size - count == len(export) - 1 == kept
    assert (count, size, size, True) == verify_all(export)
    assert (0, size, size, True) == verify_all(export, *archives)
    assert (0, size, size, True) == verify_all(archives[1], export, archives[0], archives[1])
    assert (0, len(archives[0]) - 1, size - 2, False) == verify_all(archives[0])
    known = newest_checkpoint(database)
    assert (0, size, size, True) == verify_all(export, *archives, known=known)
    with pytest.raises(DifferenceError, match="are not those of your checkpoint"):
        verify_all(export, *archives, known=Checkpoint(known.origin, 5, known.root))
    with pytest.raises(DifferenceError, match="is in none of the given files"):
        verify_all(export, archives[0])
    with pytest.raises(NightsafeError, match="nothing here shows that the log continues your checkpoint"):
        verify_all(export, known=known)
    with pytest.raises(NightsafeError, match="your checkpoint covers"):
        verify_all(*archives, known=Checkpoint(known.origin, count + 1, known.root))


def test_csv_has_a_row_for_each_entry(db: sqlite3.Connection) -> None:
    """The table has the names of its columns first, and then each entry."""
    rows = list(csv.DictReader(io.StringIO(b"".join(csv_lines(db, lambda _: None)).decode())))

    assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == len(rows)
    assert set(COLUMNS) == rows[0].keys()
    put = next(row for row in rows if row["script"] == "many" and row["set"] == "N")
    assert ("owner@example.com", "2") == (put["email"], put["time"][0])


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\ta"])
def test_a_name_is_never_a_formula(name: str) -> None:
    """A spreadsheet takes no cell for a formula, because names come from clients."""
    assert f"'{name}" == _cell(name)
