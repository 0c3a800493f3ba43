"""The file of the highest serials seen."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import NightsafeError


async def test_serials_survive_a_restart(tmp_path: Path) -> None:
    """The highest serial of each account is kept over a restart; a lower one changes nothing."""
    path = tmp_path / "marks.json"
    serials = Serials(path)
    for account, serial in (("a", 1), ("b", 5), ("a", 9), ("a", 3)):
        serials.raise_to(account, serial)
    await serials.flush()

    again = Serials(path)
    assert (9, 5, 0) == (again.get("a"), again.get("b"), again.get("c"))
    assert 0o600 == path.stat().st_mode & 0o777


async def test_many_changes_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand changes are written in a few writes."""
    writes = []
    monkeypatch.setattr("nightsafe.sealing.files.write", lambda *_, **__: writes.append(1))
    serials = Serials(tmp_path / "marks.json")
    for serial in range(1, 1001):
        serials.raise_to("a", serial)
    await serials.flush()

    assert len(writes) < 5


@pytest.mark.parametrize("content", ["", "{}", '{"format":"nightsafe-marks/1","serials":{"a":"x"}}', "[[[["])
def test_a_file_with_other_content_is_refused(tmp_path: Path, content: str) -> None:
    """A file with other content is refused with a remedy, instead of being read as empty."""
    path = tmp_path / "marks.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(NightsafeError, match="Delete it"):
        Serials(path)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A file that others may read is refused."""
    path = tmp_path / "marks.json"
    path.write_text('{"format":"nightsafe-marks/1","serials":{}}')
    path.chmod(0o644)

    with pytest.raises(NightsafeError, match="chmod 0600"):
        Serials(path)


async def test_a_failed_write_is_logged_and_made_up_for(tmp_path: Path) -> None:
    """A failed write is logged; the serials stay in memory, and are written once the disk works again."""
    path = tmp_path / "folder" / "marks.json"
    serials = Serials(path)
    with capture_logs() as logs:
        serials.raise_to("a", 1)
        await serials.flush()
    path.parent.mkdir()
    serials.raise_to("a", 2)
    await serials.flush()

    assert ["marks.not_written"] == [log["event"] for log in logs]
    assert 2 == Serials(path).get("a")
