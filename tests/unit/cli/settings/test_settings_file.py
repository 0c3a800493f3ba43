"""Settings files: the settings they may contain, depending on their place and their permissions."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from nightsafe.cli.settings.settings_file import CLIENT_SETTINGS, FOLDER_SETTINGS, SERVER_SETTINGS, default_map
from nightsafe.cli.settings.sources import drop_overridden
from nightsafe.cli.settings.wrangler_config import configured_script

ALL_SETTINGS = sorted(CLIENT_SETTINGS | SERVER_SETTINGS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a foreign working directory, beside a configuration directory of the user's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "nightsafe").mkdir(parents=True, mode=0o700)
    (tmp_path / "config").chmod(0o700)
    (tmp_path / "foreign").mkdir()
    monkeypatch.chdir(tmp_path / "foreign")
    return tmp_path / "foreign"


def own_file(folder: Path) -> Path:
    """Return the path of the user's own settings file."""
    return folder.parent / "config" / "nightsafe" / "nightsafe.toml"


def names_in(offered: Mapping[str, Any]) -> set[str]:
    """Return the names of all settings offered to any command."""
    found: set[str] = set()
    for name, inner in offered.items():
        found |= names_in(inner) if isinstance(inner, Mapping) else {name}
    return found


@pytest.mark.parametrize("name", ALL_SETTINGS)
def test_a_folders_file_sets_only_permitted_settings(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Settings of a folder's file that could redirect or unseal requests are ignored and named."""
    (folder / "nightsafe.toml").write_text(f'{name} = "x"\n')
    offered, said = names_in(default_map(None)), capsys.readouterr().err

    assert ({name} if name in FOLDER_SETTINGS else set()) == offered
    assert (name in FOLDER_SETTINGS) == (not said)
    if said:
        told = f"ignored these settings of nightsafe.toml in this directory: {name}. If the file is yours, run: "
        assert f"{told}nightsafe --config nightsafe.toml" in said
    assert {name} == names_in(default_map(Path("nightsafe.toml")))


@pytest.mark.parametrize(
    "name",
    [
        "url", "token_file", "seal", "plain_http", "account_id", "data", "public_ring", "private_ring", "verify_keys",
        "api", "api_ca", "client_cert", "client_key", "tls_key", "tls_client_ca", "host", "listen", "port", "sockets",
        "marks", "trusted_proxy", "reach_private", "script_header", "worker_output", "fingerprint_key_file",
        "auth_failures", "rate_limit", "domain", "probes",
    ],
)  # fmt: skip
def test_a_folders_file_never_sets_these(name: str) -> None:
    """These settings are never taken from the working directory."""
    assert name in ALL_SETTINGS
    assert name not in FOLDER_SETTINGS


def test_an_endless_file_is_not_read(folder: Path) -> None:
    """An endless file of a folder is ignored; a named file is read only up to its limit."""
    os.mkfifo(folder / "nightsafe.toml")
    assert set() == names_in(default_map(None))
    (folder / "nightsafe.toml").unlink()
    (folder / "nightsafe.toml").symlink_to("/dev/zero")
    assert set() == names_in(default_map(None))
    with pytest.raises(click.ClickException, match="has more than 1048576 bytes"):
        default_map(folder / "nightsafe.toml")


def test_completion_reports_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While the shell completes a line, ignored settings are not reported."""
    (folder / "nightsafe.toml").write_text('url = "x"\n')
    assert set() == names_in(default_map(None, quiet=True))
    assert "" == capsys.readouterr().err


def test_the_users_own_file_sets_everything(folder: Path) -> None:
    """The user's own file sets everything, a folder's file adds permitted settings, a named file replaces both."""
    own_file(folder).write_text('url = "https://mine.test"\nscript = "mine"\n')
    (folder / "nightsafe.toml").write_text('url = "https://theirs.test"\nscript = "theirs"\n')
    (folder / "other.toml").write_text('script = "other"\n')

    assert {"url": "https://mine.test", "script": "theirs"} == default_map(None)["secret"]["put"]
    assert {"script": "other"} == default_map(Path("other.toml"))["secret"]["put"]


@pytest.mark.parametrize("loose", ["file", "folder", "above", "pipe"])
def test_a_file_that_others_may_write_is_refused(folder: Path, loose: str) -> None:
    """The user's own file is refused if others may write it or a directory above it."""
    own_file(folder).write_text('url = "https://mine.test"\n')
    if loose == "pipe":
        own_file(folder).unlink()
        own_file(folder).mkdir()
    else:
        {"file": own_file(folder), "folder": own_file(folder).parent, "above": own_file(folder).parent.parent}[
            loose
        ].chmod(0o777)

    with pytest.raises(click.ClickException, match=r"chmod go-w|cannot be read|regular"):
        default_map(None)


def test_the_environment_overrides_settings_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official clients' environment variables override settings files."""
    filed = {"url": "https://file.test", "token_file": "file", "script": "s"}
    assert filed == drop_overridden(filed)
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", "https://environment.test")
    assert {"token_file": "file", "script": "s"} == drop_overridden(filed)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "t")
    assert {"script": "s"} == drop_overridden(filed)


def test_a_wrangler_file_sets_only_the_script_name(tmp_path: Path) -> None:
    """Only the script's name is read from a wrangler configuration."""
    (tmp_path / "wrangler.json").write_text(
        '{"name": "worker", "account_id": "f", "env": {"x": {"name": "y"}}, "vars": {"NIGHTSAFE_URL": "https://e.test"}}'
    )
    assert "worker" == configured_script(tmp_path)
