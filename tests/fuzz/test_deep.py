"""Every reader of files refuses input that is nested too deeply, as it refuses other unreadable input."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest

from nightsafe.api.http.multipart import parse_form
from nightsafe.cli.data_directory.creation_plan import NAME, read
from nightsafe.cli.settings.settings_file import default_map
from nightsafe.cli.settings.wrangler_config import configured_script
from nightsafe.delivery.cache.serials import _read as read_marks
from nightsafe.delivery.workerd.wire import MalformedError, read_request
from nightsafe.errors import Code, NightsafeError

_DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "content"),
    [("wrangler.json", _DEEP), ("wrangler.jsonc", '{"a":' + _DEEP), ("wrangler.toml", "a = " + _DEEP)],
)
def test_a_deep_wrangler_configuration_names_no_script(tmp_path: Path, name: str, content: str) -> None:
    """The file is treated as one that is not JSON, or not TOML."""
    (tmp_path / name).write_text(content)
    assert configured_script(tmp_path) is None


def test_deep_settings_are_refused(tmp_path: Path) -> None:
    """The file is refused as one that is not TOML."""
    path = tmp_path / "settings.toml"
    path.write_text("a = " + _DEEP)
    with pytest.raises(click.ClickException, match="is not TOML"):
        default_map(path)


def test_a_deep_plan_of_unfinished_work_is_ignored(tmp_path: Path) -> None:
    """The plan is treated as one of an unknown program."""
    (tmp_path / NAME).write_text('{"a":' + _DEEP)
    assert read(tmp_path) is None


def test_deep_marks_are_refused(tmp_path: Path) -> None:
    """The file is refused as one that is not a marks file."""
    path = tmp_path / "marks.json"
    path.touch(0o600)
    path.write_text('{"a":' + _DEEP)
    with pytest.raises(NightsafeError, match="not a marks file"):
        read_marks(path)


@pytest.mark.parametrize("cut", [b"", b"3", b"3\r\nabc", b"3\r\nabc\r\n", b"0\r\n", b"0" * 20_000])
def test_a_cut_body_is_malformed(cut: bytes) -> None:
    """A chunked body is malformed if it ends early, or if the line with a length has no end."""

    async def ask() -> None:
        """Read one request."""
        reader = asyncio.StreamReader(limit=16 * 1024)
        reader.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + cut)
        reader.feed_eof()
        await read_request(reader)

    with pytest.raises(MalformedError):
        asyncio.run(ask())


@pytest.mark.parametrize("size", [1, 6, 1000])
@pytest.mark.parametrize("start", [b"\r\n", b"\n", b"\r\nexport default {}\r\n", b"hello\r\n", b"-"])
def test_text_before_the_boundary_is_refused(start: bytes, size: int) -> None:
    """It is refused however the network cuts the body; the parser alone takes it in some pieces."""
    body = start + b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'

    async def pieces() -> AsyncIterator[bytes]:
        """Yield the body in pieces."""
        for at in range(0, len(body), size):
            yield body[at : at + size]

    with pytest.raises(NightsafeError) as refused:
        asyncio.run(parse_form(b"multipart/form-data; boundary=b", pieces()))
    assert refused.value.code is Code.SCRIPT_UNPARSABLE
