"""The table of commands matches the commands, help loads little, and settings belong to options."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nightsafe.cli.lazy import load
from nightsafe.cli.main import cli
from nightsafe.cli.settings.remote_options import _REMOTE_OPTIONS
from nightsafe.cli.settings.settings_file import CLIENT_SETTINGS, SERVER_SETTINGS, default_map
from nightsafe.cli.tree import Leaf, leaves

LEAVES = list(leaves())
HEAVY = ("cryptography", "nightsafe.store", "nightsafe.api", "granian", "starlette", "structlog", "uvloop", "asyncio")


def every_command() -> list[tuple[str, Leaf, click.Command]]:
    """Return each command with its words and its leaf."""
    found = []
    for words, leaf in LEAVES:
        command = load(leaf)
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        assert leaf.children == tuple(name for name in inner if name)
        found += [(" ".join((*words, name)).strip(), leaf, inner_command) for name, inner_command in inner.items()]
    return found


@pytest.mark.parametrize(
    ("words", "leaf", "command"), every_command(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_each_command_has_help_and_its_name(words: str, leaf: Leaf, command: click.Command) -> None:
    """Each command has a help text and the name that it is called by."""
    assert command.help
    assert command.name == words.rsplit(maxsplit=1)[-1]
    assert leaf.help.endswith(".")


def test_no_line_of_a_command_in_a_list_is_cut_off() -> None:
    """A list of commands shows a whole sentence for each, even on a narrow terminal of 80 columns."""
    groups = {words.rsplit(maxsplit=1)[0] for words, *_ in every_command() if " " in words}
    shown = [CliRunner().invoke(cli, [*group.split(), "--help"]).output for group in ("", *sorted(groups))]

    assert 5 < len(shown)
    lists = [text.partition("\nCommands:\n")[2].splitlines() for text in shown]
    assert all(lists)
    assert [] == [line for lines in lists for line in lines if line.endswith("...")]


def test_each_command_takes_its_options() -> None:
    """The arguments of each function are the parameters of its command, or are made from several of them."""
    parts = {
        "remote": set(_REMOTE_OPTIONS),
        "fingerprints": {"fingerprint_key_file", "no_fingerprint"},
        "inherited": set(),  # what `run` gives to `serve`
    }
    for words, _, command in every_command():
        assert command.callback is not None
        arguments = inspect.signature(inspect.unwrap(command.callback)).parameters.values()
        if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            continue
        needed = {argument.name for argument in arguments if argument.default is argument.empty}
        given = {parameter.name for parameter in command.params if parameter.expose_value}
        made = needed & parts.keys()
        assert needed - made == given.difference(*(parts[name] for name in made)), words


def test_every_setting_belongs_to_an_option() -> None:
    """Each setting is an option of a command, and each of our variables has its setting."""
    options = [
        (leaf.extra, parameter)
        for _, leaf, command in every_command()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]
    by_extra = {extra: {parameter.name for of, parameter in options if of == extra} for extra in ("cli", "server")}
    with_variable = {
        (extra, parameter.name) for extra, parameter in options if str(parameter.envvar).startswith("NIGHTSAFE_")
    }

    assert CLIENT_SETTINGS <= by_extra["cli"]
    assert SERVER_SETTINGS - {"token_id"} <= by_extra["server"]
    assert {name for extra, name in with_variable if extra == "cli"} <= CLIENT_SETTINGS
    assert {name for extra, name in with_variable if extra == "server"} <= SERVER_SETTINGS


def test_settings_are_offered_to_their_commands(tmp_path: Path) -> None:
    """A setting of the file is offered to each command that has it, and to no other."""
    file = tmp_path / "nightsafe.toml"
    file.write_text('data = "here"\nport = 1\nscript = "worker"\n')

    offered = default_map(file)

    assert {"data": "here", "port": 1} == offered["serve"] == offered["token"]["create"]
    assert {"data": "here", "script": "worker"} == offered["secret"]["key"]["import"] == offered["rollback"]


def loaded_by(*commands: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Run the commands in one process, in this order; return each with the modules that are loaded after it."""
    code = "import sys\nfrom nightsafe.__main__ import main\nfor words in COMMANDS:\n  sys.argv[1:] = words\n"
    code += "  try: main()\n  except SystemExit as end: assert not end.code, words\n  print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code.replace("COMMANDS", repr(commands))],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("['")]
    return zip(commands, (set(ast.literal_eval(line)) for line in lines), strict=True)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        ([()], ("nightsafe.client", *HEAVY)),
        ([words for words, _ in LEAVES if words[0] == "secret" and words[1] != "key"], HEAVY),
        ([words for words, _ in LEAVES if len(words) == 1 or words[:2] == ("secret", "key")], ()),
    ],
    ids=["root", "secret", "others"],
)
def test_help_loads_no_server_libraries(commands: list[tuple[str, ...]], heavy: tuple[str, ...]) -> None:
    """Help loads no server libraries, and the root's help loads no command."""
    for words, loaded in loaded_by(*((*words, "--help") for words in commands)):
        assert not {module for module in loaded if module.startswith(heavy)}, words


def test_a_missing_library_is_named_with_its_extra() -> None:
    """A command whose library is missing names the extra that has it."""
    code = "import sys; sys.modules['uvloop'] = sys.modules['nightsafe.cli.doctor.command'] = None\n"
    code += "import importlib.abc\n"
    code += "class Absent(importlib.abc.MetaPathFinder):\n"
    code += "  def find_spec(self, name, path, target=None):\n"
    code += "    if name == 'cryptography': raise ModuleNotFoundError('no', name=name)\n"
    code += "sys.meta_path.insert(0, Absent())\n"
    code += "sys.argv[1:] = ['token', 'list']\nfrom nightsafe.__main__ import main; main()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "needs cryptography, which is not installed; run: pip install 'nightsafe[server]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_takes_a_secret_value() -> None:
    """No option or argument takes a secret value."""
    names = {parameter.name for _, _, command in every_command() for parameter in command.params}

    assert not names & {"value", "text", "key", "password", "secret", "token", "api_token"}
    assert cli.name == "cli"
