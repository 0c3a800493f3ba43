"""The file of the highest serials seen."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import NightsafeError


async def test_marks_are_there_after_a_restart(tmp_path: Path) -> None:
    """For each account, the highest; a lower one changes nothing."""
    path = tmp_path / "marks.json"
    serials = Serials(path)
    for account, serial in (("a", 1), ("b", 5), ("a", 9), ("a", 3)):
        serials.raise_to(account, serial)
    await serials.settle()

    again = Serials(path)
    assert (9, 5, 0) == (again.get("a"), again.get("b"), again.get("c"))
    assert 0o600 == path.stat().st_mode & 0o777


async def test_many_are_written_in_a_few_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk does not have to keep up with each."""
    writes = []
    monkeypatch.setattr("nightsafe.sealing.files.write", lambda *_, **__: writes.append(1))
    serials = Serials(tmp_path / "marks.json")
    for serial in range(1, 1001):
        serials.raise_to("a", serial)
    await serials.settle()

    assert len(writes) < 5


@pytest.mark.parametrize("content", ["", "{}", '{"format":"nightsafe-marks/1","serials":{"a":"x"}}', "[[[["])
def test_a_file_of_something_else(tmp_path: Path, content: str) -> None:
    """Is refused, with what to do: it is not taken for nothing seen."""
    path = tmp_path / "marks.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(NightsafeError, match="Delete it"):
        Serials(path)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """As every file that delivery relies on."""
    path = tmp_path / "marks.json"
    path.write_text('{"format":"nightsafe-marks/1","serials":{}}')
    path.chmod(0o644)

    with pytest.raises(NightsafeError, match="chmod 0600"):
        Serials(path)


async def test_a_disk_that_does_not_take_it(tmp_path: Path) -> None:
    """Is said; the marks hold in memory, and are written as soon as it works again."""
    path = tmp_path / "folder" / "marks.json"
    serials = Serials(path)
    with capture_logs() as logs:
        serials.raise_to("a", 1)
        await serials.settle()
    path.parent.mkdir()
    serials.raise_to("a", 2)
    await serials.settle()

    assert ["marks.not_written"] == [log["event"] for log in logs]
    assert 2 == Serials(path).get("a")
