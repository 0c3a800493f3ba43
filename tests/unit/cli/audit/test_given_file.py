"""`nightsafe audit verify` with a file in the place of another one, and with exports that lost something."""

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from tests.unit.cli.audit.tools.call import call

from nightsafe.audit.verification.difference import counted
from nightsafe.cli.main import cli

_KEYS: Final = "keys/verify-keys.json"


@pytest.fixture
def files(data: Path, tmp_path: Path) -> Path:
    """Return a folder with a file of each kind."""
    (tmp_path / "checkpoint.txt").write_text(call("checkpoint", "--data", data).stdout)
    (tmp_path / "log.jsonl").write_text(call("export", "--data", data).stdout)
    (tmp_path / "log.csv").write_text(call("export", "--data", data, "--format", "csv").stdout)
    assert 0 == CliRunner().invoke(cli, ["backup", str(tmp_path / "safe.tar"), "--data", str(data)]).exit_code
    (tmp_path / "nightsafe.db").write_bytes((data / "nightsafe.db").read_bytes())
    (tmp_path / "keys.json").write_bytes((data / _KEYS).read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("", "checkpoint.txt", "is a checkpoint, and an export is needed here; give it with --from"),
        ("", "safe.tar", "is a backup, and an export is needed here; give it with --backup"),
        ("", "nightsafe.db", "is a database, and an export is needed here; give its data directory with --data"),
        ("", "log.csv", "it has no proofs, so export the log with --format jsonl"),
        ("", "keys.json", "is a file of verification keys, and an export is needed here; give it with --verify-keys"),
        ("--backup", "log.jsonl", "is an export, and a backup is needed here; give it without an option"),
        ("--backup", "checkpoint.txt", "is a checkpoint, and a backup is needed here"),
        ("--from", "log.jsonl", "is an export, and a checkpoint is needed here"),
        ("--from", "safe.tar", "is a backup, and a checkpoint is needed here"),
    ],
)
def test_a_file_of_another_kind_is_recognised(data: Path, files: Path, option: str, name: str, words: str) -> None:
    """The refusal says what was given, what is needed, and which option takes the file."""
    arguments = [option] if option else []
    done = call("verify", *arguments, files / name, "--verify-keys", data / _KEYS, code=1)

    assert words in done.output


@pytest.mark.parametrize(
    ("missing", "words"), [(9, "entry 8 is missing"), (-1, "the export ends before"), (0, "that line was lost")]
)
def test_an_export_that_lost_a_line_is_explained(data: Path, files: Path, missing: int, words: str) -> None:
    """The message says that the file lost a line, and that a new export tells whether the log lacks the entry too."""
    lines = (files / "log.jsonl").read_text().splitlines(keepends=True)
    del lines[missing]
    (files / "log.jsonl").write_text("".join(lines))

    done = call("verify", files / "log.jsonl", "--verify-keys", data / _KEYS, code=1)

    shown = f"{done.output}{done.exception}"
    assert words in shown
    assert "export the log again" in shown
    assert "changed the database" not in shown


def test_an_export_from_before_the_checkpoint_is_explained(data: Path, files: Path) -> None:
    """The message says which of the two is newer, and the advice is about the export."""
    token = ["token", "create", "--data", str(data), "--all-access", "--name", "later"]
    made = CliRunner().invoke(cli, token)
    assert 0 == made.exit_code, made.output
    (files / "checkpoint.txt").write_text(call("checkpoint", "--data", data).stdout)

    arguments = (files / "log.jsonl", "--verify-keys", data / _KEYS, "--from", files / "checkpoint.txt")
    done = call("verify", *arguments, code=1)

    assert "the checkpoint is newer" in done.output
    assert "export the log again; if a new export is no longer than this one, the log was cut" in done.output


def test_a_number_has_its_noun() -> None:
    """One entry is an entry, and several are entries."""
    assert ["0 values", "1 entry", "2 entries", "1 row"] == [
        counted(0, "value"),
        counted(1, "entry"),
        counted(2, "entry"),
        counted(1, "row"),
    ]
