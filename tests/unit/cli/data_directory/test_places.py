"""The local server's address, the script of a wrangler configuration, times, and version numbers."""

import datetime as dt
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.local_server import address_of, publish_address
from nightsafe.cli.settings.server_address import find_server
from nightsafe.cli.settings.wrangler_config import configured_script
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.times import display_time
from nightsafe.cli.version import number_of
from nightsafe.client import Version

URL = "http://127.0.0.1:1/client/v4"


def test_an_address_exists_while_its_server_runs(tmp_path: Path) -> None:
    """The address exists exactly while its server runs; a killed server's address is ignored."""
    assert address_of(tmp_path) is None
    with publish_address(tmp_path, URL):
        assert URL == address_of(tmp_path)
        with publish_address(tmp_path, "http://127.0.0.1:2/client/v4"):
            assert URL == address_of(tmp_path)
    assert address_of(tmp_path) is None
    assert "" == (tmp_path / "address").read_text()

    (tmp_path / "address").write_text(URL)

    assert address_of(tmp_path) is None
    assert 0o600 == (tmp_path / "address").stat().st_mode & 0o777


def test_an_address_that_others_could_write_is_not_used(tmp_path: Path) -> None:
    """An address that others could have written shows that a server runs, but no credential is sent to it."""
    with publish_address(tmp_path, URL):
        (tmp_path / "address").chmod(0o622)

        assert URL == address_of(tmp_path)
        assert address_of(tmp_path, trust_others=False) is None
        with pytest.raises(CommandError, match="belongs to another user"):
            find_server(None, None, tmp_path, plain_http=False)


def test_a_server_runs_without_writing_its_address(tmp_path: Path) -> None:
    """A server runs even if it cannot write its address."""
    with publish_address(tmp_path / "absent", URL):
        assert address_of(tmp_path / "absent") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link in place of the address file is ignored, and its target stays."""
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "address").symlink_to(other)

    with publish_address(tmp_path, URL):
        assert address_of(tmp_path) is None
    assert "kept" == other.read_text()


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("wrangler.toml", 'name = "a"', "a"),
        ("wrangler.toml", "name = 1", None),
        ("wrangler.toml", "name = ", None),
        ("wrangler.json", '{"name": "a"}', "a"),
        ("wrangler.jsonc", '{"x": "//", /* , } */ "name": "a\\"b", "y": [1, 2,],}', 'a"b'),
        ("wrangler.jsonc", '{"name": "a" // end\n}', "a"),
        ("wrangler.jsonc", '["name"]', None),
        ("wrangler.jsonc", "{", None),
        ("wrangler.jsonc", '{"name": ""}', None),
        ("package.json", '{"name": "a"}', None),
    ],
)
def test_the_script_name_is_read_from_wranglers_files(
    tmp_path: Path, file: str, content: str, name: str | None
) -> None:
    """The script's name is read from each form that wrangler reads, and from nothing else."""
    (tmp_path / file).write_text(content)

    assert name == configured_script(tmp_path)


def test_json_configurations_override_toml(tmp_path: Path) -> None:
    """JSON goes before TOML, as with wrangler."""
    for number, file in enumerate(("wrangler.toml", "wrangler.jsonc", "wrangler.json")):
        text = f'name = "{number}"' if file.endswith("toml") else f'{{"name": "{number}"}}'
        (tmp_path / file).write_text(text)
        assert str(number) == configured_script(tmp_path)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (None, "-"),
        ("2030-01-31T12:00:00.5Z", "2030-01-31T12:00:00Z"),
        ("2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00Z"),
        ("soon", "soon"),
        (dt.datetime(2030, 1, 31, 12, tzinfo=dt.UTC), "2030-01-31T12:00:00Z"),
    ],
)
def test_times_are_shown_in_utc(moment: dt.datetime | str | None, words: str) -> None:
    """Times are shown to the second, in UTC."""
    assert words == display_time(moment)


@pytest.mark.parametrize(("number", "words"), [(None, "-"), (3.0, "3"), (1234567.0, "1234567")])
def test_version_numbers_are_shown_whole(number: float | None, words: str) -> None:
    """Version numbers are shown as whole numbers."""
    assert words == number_of(Version(id="x", number=number))
