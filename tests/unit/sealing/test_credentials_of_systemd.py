"""Private files that systemd hands to a service."""

from pathlib import Path

import pytest

from nightsafe.cli.settings.own_file import read_own_file
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import NightsafeError
from nightsafe.sealing import files


def _file(folder: Path, mode: int) -> Path:
    """Return a new file with this mode."""
    folder.mkdir(exist_ok=True)
    file = folder / "token"
    file.write_text("a token")
    file.chmod(mode)
    return file


def test_a_credential_may_show_the_groups_right_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the service's folder of credentials may have mode 0440, which stands for its access list."""
    file = _file(tmp_path / "credentials", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    assert b"a token" == files.read(file, private=True)
    assert "a token" == read_own_file(file, "the token", 100)
    files.check_private(file)


@pytest.mark.parametrize("mode", [0o460, 0o444, 0o404])
def test_a_credential_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """No other right of the group or of others is accepted."""
    file = _file(tmp_path / "credentials", mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    with pytest.raises(NightsafeError, match="chmod"):
        files.read(file, private=True)
    with pytest.raises(CommandError, match="chmod"):
        read_own_file(file, "the token", 100)


@pytest.mark.parametrize("folder", ["", "credentials"])
def test_a_file_elsewhere_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Without a folder of credentials, or outside it, a file that the group can read is refused."""
    file = _file(tmp_path / "other", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder and str(tmp_path / folder))
    with pytest.raises(NightsafeError, match="chmod"):
        files.read(file, private=True)
