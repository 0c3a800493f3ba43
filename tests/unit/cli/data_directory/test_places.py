"""Small things about where: the local server's address, the script of a wrangler configuration, times, numbers."""

import datetime as dt
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.local_server import address_of, announced
from nightsafe.cli.settings.server_address import find_server
from nightsafe.cli.settings.wrangler_config import configured_script
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.times import shown
from nightsafe.cli.version import number_of
from nightsafe.client import Version

URL = "http://127.0.0.1:1/client/v4"


def test_an_address_lives_as_long_as_its_server(tmp_path: Path) -> None:
    """It is there while the server is, and not before or after; what a killed server left leads nowhere."""
    assert address_of(tmp_path) is None
    with announced(tmp_path, URL):
        assert URL == address_of(tmp_path)
        with announced(tmp_path, "http://127.0.0.1:2/client/v4"):
            assert URL == address_of(tmp_path)
    assert address_of(tmp_path) is None
    assert "" == (tmp_path / "address").read_text()

    (tmp_path / "address").write_text(URL)

    assert address_of(tmp_path) is None
    assert 0o600 == (tmp_path / "address").stat().st_mode & 0o777


def test_an_address_that_others_could_have_written(tmp_path: Path) -> None:
    """It keeps nobody from seeing that a server runs, and leads nobody who has a credential to show."""
    with announced(tmp_path, URL):
        (tmp_path / "address").chmod(0o622)

        assert URL == address_of(tmp_path)
        assert address_of(tmp_path, believing_others=False) is None
        with pytest.raises(CommandError, match="belongs to another user"):
            find_server(None, None, tmp_path, plain_http=False)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A server serves all the same."""
    with announced(tmp_path / "absent", URL):
        assert address_of(tmp_path / "absent") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """An address that is a link to another file is none, and that file stays."""
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "address").symlink_to(other)

    with announced(tmp_path, URL):
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
def test_the_name_in_a_configuration(tmp_path: Path, file: str, content: str, name: str | None) -> None:
    """It is read from each form that wrangler reads, and from nothing else."""
    (tmp_path / file).write_text(content)

    assert name == configured_script(tmp_path)


def test_json_goes_before_toml(tmp_path: Path) -> None:
    """As with wrangler."""
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
def test_times(moment: dt.datetime | str | None, words: str) -> None:
    """To the second, in UTC."""
    assert words == shown(moment)


@pytest.mark.parametrize(("number", "words"), [(None, "-"), (3.0, "3"), (1234567.0, "1234567")])
def test_numbers_of_versions(number: float | None, words: str) -> None:
    """They are whole, however many there are."""
    assert words == number_of(Version(id="x", number=number))
