"""The documents agree with the program."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nightsafe.api.http.errors import INTERNAL, TABLE
from nightsafe.cli.lazy import load
from nightsafe.cli.main import cli
from nightsafe.cli.terminal import errors
from nightsafe.cli.tree import Leaf, leaves

ROOT = Path(__file__).parents[2]


def every_option() -> list[tuple[str, Leaf, click.Option]]:
    """Return every option of every command, with the command's words and its leaf."""
    found = []
    for words, leaf in leaves():
        command = load(leaf)
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        found += [
            (" ".join(words), leaf, p)
            for inner_command in inner
            for p in inner_command.params
            if isinstance(p, click.Option)
        ]
    return found


def options_of(extra: str) -> list[tuple[str, click.Option]]:
    """Return the options of the commands that an extra installs, with each command's words; there are many."""
    found = [(words, option) for words, leaf, option in every_option() if leaf.extra == extra]
    assert len(found) > 100
    return found


def page_of(option: click.Option) -> str:
    """Return the page of an option: settings, which have an environment variable, are in configuration.md."""
    name = "configuration.md" if isinstance(option.envvar, str) else "cli.md"
    return (ROOT / "docs" / name).read_text()


def test_every_option_of_the_operator_is_documented() -> None:
    """Each command and each other flag is in cli.md, and each setting is in configuration.md with its default."""
    for command, option in options_of("server"):
        page = page_of(option)
        assert f"`nightsafe {command}" in (ROOT / "docs" / "cli.md").read_text()
        assert f"`{option.opts[0]}`" in page, command
        if isinstance(option.envvar, str):
            row = next(line for line in page.splitlines() if f"`{option.envvar}`" in line)
            default = ", ".join(option.default) if isinstance(option.default, tuple) else option.default
            assert command == "doctor" or f"`{default}`" in row, command


def test_every_option_of_the_command_line_is_documented() -> None:
    """Each command and each other flag is in cli.md, and each setting is in configuration.md with its variable."""
    commands = (ROOT / "docs" / "cli.md").read_text()
    for command, option in options_of("cli"):
        page = page_of(option)
        assert command in commands or command.rsplit(maxsplit=1)[-1] in commands
        assert option.opts[0] in page, command
        if isinstance(option.envvar, str):
            assert f"`{option.envvar}`" in page, command


def test_documented_output_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block with a command shows exactly what the command prints."""
    monkeypatch.setenv("COLUMNS", "100")
    blocks = re.findall(r"```console\n\$ nightsafe(.*?)\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(), re.DOTALL)

    assert blocks
    for arguments, shown in blocks:
        assert shown == CliRunner().invoke(cli, arguments.split(), prog_name="nightsafe").output


def test_commands_are_documented_by_what_they_use() -> None:
    """The page lists exactly the commands that use the data directory, and those that talk to a server."""
    page = (ROOT / "docs" / "cli.md").read_text()
    rows = re.findall(r"^\| ([a-z][^|]*) \| (`[^|]*) \| `nightsafe\[(\w+)\]` \|$", page, re.MULTILINE)
    documented = {where: re.findall(r"`([a-z -]+)`", commands) for where, commands, _ in rows}
    tree = {words[0]: leaf for words, leaf in leaves()}
    with_data = {words for words, leaf, option in every_option() if option.name == "data" and leaf.extra == "server"}

    assert sorted(with_data) == sorted(documented.pop("the data directory, on the server's machine"))
    also_with_an_api = {"keys reseal", "delivery accept-restore", "audit witness"}
    without_data = tree.keys() - {words.split()[0] for words in with_data}
    assert without_data == {name for names in documented.values() for name in names} - also_with_an_api
    assert {"approver", "completion", "deliver"} == without_data - set(
        documented["a server's API, on this machine or another"]
    )


def test_a_private_way_to_report_is_documented() -> None:
    """The first section of the security page names a private way to report, and an e-mail where there is no form."""
    first = (ROOT / "SECURITY.md").read_text().partition("\n## ")[0]

    assert "**Report a vulnerability**" in first
    assert "Where the form is not offered" in first
    assert "e-mail" in first


def test_exit_codes_are_documented() -> None:
    """The table lists exactly the exit codes that exist."""
    page = (ROOT / "docs" / "cli.md").read_text()
    codes = {errors.FAILED, errors.NOT_PERMITTED, errors.NOT_FOUND, errors.REFUSED, errors.UNAVAILABLE}

    assert codes | {0, 2, errors.DIFFERS} == {int(code) for code in re.findall(r"^\| (\d) \|", page, re.MULTILINE)}


def test_every_wire_code_is_documented() -> None:
    """Each numeric code that the server can answer is on the page of the API."""
    page = (ROOT / "docs" / "api.md").read_text()
    codes = {row.code for row in TABLE.values()} | {row.chain[0] for row in TABLE.values() if row.chain}

    missing = {code for code in codes - {INTERNAL.code} if not re.search(rf"\b{code}\b", page)}

    assert set() == missing


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_heading() -> None:
    """Each relative link in the documents leads to an existing file and heading."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = re.compile(r"\]\(([^)#:]*)(?:#([^):]+))?\)")
    links = [(page, link, anchor) for page in pages for link, anchor in found.findall(page.read_text())]
    dead = [
        f"{page.name}: {link}#{anchor}"
        for page, link, anchor in links
        if not (target := page.parent / link if link else page).exists() or (anchor and anchor not in anchors(target))
    ]

    assert links
    assert [] == dead
