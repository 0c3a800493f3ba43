"""What the documents say is what the program does."""

import re
from pathlib import Path

import click
import pytest

from nightsafe.api.errors import INTERNAL, TABLE
from nightsafe.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]


def every_option() -> list[tuple[str, click.Option]]:
    """Every option of every command, with the command's name."""
    found = []
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        leaves = command.commands.values() if isinstance(command, click.Group) else [command]
        found += [(name, p) for leaf in leaves if leaf for p in leaf.params if isinstance(p, click.Option)]
    return found


@pytest.mark.parametrize(("command", "option"), every_option(), ids=lambda value: getattr(value, "name", value))
def test_every_option_is_documented(command: str, option: click.Option) -> None:
    """Each flag and each variable stands in the page of settings, with its default."""
    page = (ROOT / "docs" / "configuration.md").read_text()

    assert f"`nightsafe {command}" in page
    assert f"`{option.opts[0]}`" in page
    if isinstance(option.envvar, str):
        row = next(line for line in page.splitlines() if f"`{option.envvar}`" in line)
        assert f"`{option.default}`" in row


def test_every_wire_code_is_documented() -> None:
    """Each numeric code the server can answer stands in the page of the API."""
    page = (ROOT / "docs" / "api.md").read_text()
    codes = {row.code for row in TABLE.values()} | {row.chain[0] for row in TABLE.values() if row.chain}

    missing = {code for code in codes - {INTERNAL.code} if not re.search(rf"\b{code}\b", page)}

    assert set() == missing


def test_every_link_leads_somewhere() -> None:
    """Each relative link in the documents names a file of the repository."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]

    assert links
    assert [] == [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
