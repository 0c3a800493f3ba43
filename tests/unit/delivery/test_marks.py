"""The file of the highest serials seen."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nightsafe.delivery.marks import Marks
from nightsafe.errors import NightsafeError


async def test_marks_are_there_after_a_restart(tmp_path: Path) -> None:
    """For each account, the highest; a lower one changes nothing."""
    path = tmp_path / "marks.json"
    marks = Marks(path)
    for account, serial in (("a", 1), ("b", 5), ("a", 9), ("a", 3)):
        marks.raise_to(account, serial)
    await marks.settle()

    again = Marks(path)
    assert (9, 5, 0) == (again.get("a"), again.get("b"), again.get("c"))
    assert 0o600 == path.stat().st_mode & 0o777


async def test_many_are_written_in_a_few_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk does not have to keep up with each."""
    writes = []
    monkeypatch.setattr("nightsafe.sealing.files.write", lambda *_, **__: writes.append(1))
    marks = Marks(tmp_path / "marks.json")
    for serial in range(1, 1001):
        marks.raise_to("a", serial)
    await marks.settle()

    assert len(writes) < 5


@pytest.mark.parametrize("content", ["", "{}", '{"format":"nightsafe-marks/1","serials":{"a":"x"}}', "[[[["])
def test_a_file_of_something_else(tmp_path: Path, content: str) -> None:
    """Is refused, with what to do: it is not taken for nothing seen."""
    path = tmp_path / "marks.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(NightsafeError, match="Delete it"):
        Marks(path)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """As every file that delivery relies on."""
    path = tmp_path / "marks.json"
    path.write_text('{"format":"nightsafe-marks/1","serials":{}}')
    path.chmod(0o644)

    with pytest.raises(NightsafeError, match="chmod 0600"):
        Marks(path)


async def test_a_disk_that_does_not_take_it(tmp_path: Path) -> None:
    """Is said; the marks hold in memory, and are written as soon as it works again."""
    path = tmp_path / "folder" / "marks.json"
    marks = Marks(path)
    with capture_logs() as logs:
        marks.raise_to("a", 1)
        await marks.settle()
    path.parent.mkdir()
    marks.raise_to("a", 2)
    await marks.settle()

    assert ["marks.not_written"] == [log["event"] for log in logs]
    assert 2 == Marks(path).get("a")
