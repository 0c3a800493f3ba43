"""The units, the compose file and the image: the files and commands that they name exist."""

import os
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.deploy.readme import FOLDER, ROOT, commands

from nightsafe.cli.main import cli
from nightsafe.cli.settings.settings_file import SERVER_SETTINGS

UNITS = ("nightsafe-node@.service", "nightsafe-deliver.service")
SECRETS = ("PASSWORD", "TOKEN", "RING", "KEY", "URL")


def check_arguments(arguments: list[str]) -> None:
    """Fail unless the arguments are a command of the program with options that it has.

    Option values are not read: `click` parses them only with the files that they name.
    """
    command: click.Command = cli
    words = iter(arguments)
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            found = [one for one in command.params if name in one.opts]
            assert found, (name, arguments)
            option = found[0]
            assert isinstance(option, click.Option)
            if not option.is_flag and not value:
                next(words)
        elif isinstance(command, click.Group):
            with click.Context(command) as context:
                inner = command.get_command(context, word)
            assert inner is not None, (word, arguments)
            command = inner
        else:
            assert any(isinstance(one, click.Argument) for one in command.params), (word, arguments)
    assert not isinstance(command, click.Group), arguments


def compose() -> dict[str, Any]:
    """Return the compose file."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / "compose" / "compose.yaml").read_text())
    return read


@pytest.mark.parametrize("name", ["README.md", *(f"systemd/{unit}" for unit in UNITS)])
def test_each_command_exists(name: str) -> None:
    """Each `nightsafe` command of the page and of the units has only options that the program has."""
    found = commands((FOLDER / name).read_text())
    assert found
    for command in found:
        check_arguments(shlex.split(command))


@pytest.mark.parametrize("wrong", ["serve --dta x", "srve", "node", "init --data x more", "node ad first"])
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    """A command, an argument or an option that the program lacks fails the check."""
    with pytest.raises(AssertionError):
        check_arguments(wrong.split())


def test_the_containers_run_commands_of_the_program() -> None:
    """Three nodes and a delivery process have arguments that the program takes, each its own data and port."""
    services = compose()["services"]
    ours = {name: service for name, service in services.items() if service["image"] == "nightsafe"}
    assert set(ours) == {"first", "second", "third", "deliver"}
    for service in ours.values():
        check_arguments(service["command"])
    assert len({service["ports"][0] for service in ours.values()}) == 4
    assert len({service["volumes"][0] for service in ours.values()}) == 4


def test_no_secret_is_in_the_environment_or_in_arguments() -> None:
    """The compose file gives secrets by files; a variable that is named like one holds a path."""
    file = compose()
    for service in file["services"].values():
        for name, value in service.get("environment", {}).items():
            assert value.startswith("/") or not any(word in name for word in SECRETS)
        assert not any("://" in word and "@" in word for word in service["command"])
        assert set(service.get("secrets", [])) <= file["secrets"].keys()


def test_only_delivery_has_the_private_ring() -> None:
    """No other service mounts the directory of delivery, or one above it."""
    for name, service in compose()["services"].items():
        mounted = [volume.split(":")[0].rstrip("/") for volume in service["volumes"]]
        assert ("./safe/deliver" in mounted) == (name == "deliver")
        assert not {"./safe", ".", "./safe/admin"} & set(mounted)


def test_the_image_copies_files_that_exist() -> None:
    """Each file that the image takes from the repository is there."""
    lines = (FOLDER / "Containerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    paths = [path for words in copied for path in words]
    assert len(paths) > 5
    assert [] == [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", ["node.toml", "deliver.toml"])
def test_the_settings_exist(name: str) -> None:
    """Each setting of the example files is one that the program takes from a file."""
    settings = tomllib.loads((FOLDER / "systemd" / name).read_text())
    assert settings.keys() <= set(SERVER_SETTINGS)


def systemd_analyze() -> str:
    """Return the program; root installs it where it is missing, as CI does."""
    found = shutil.which("systemd-analyze")
    apt = shutil.which("apt-get")
    if found is None and os.geteuid() == 0 and apt:
        for words in ("update", "install --yes --no-install-recommends systemd"):
            subprocess.run([apt, *words.split()], check=False, capture_output=True)
        found = shutil.which("systemd-analyze")
    if found is None and os.geteuid() == 0:
        pytest.fail("systemd-analyze is not installed: install the package systemd", pytrace=False)
    if found is None:
        pytest.skip("systemd-analyze is not installed: install the package systemd to check the units")
    return found


def verified(unit: str, folder: Path, change: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess[str]:
    """Verify a unit whose program is one that is installed here.

    Args:
        unit: the name of its file.
        folder: an empty folder.
        change: a text of the unit, and what replaces it.
    """
    program = systemd_analyze()
    text = (FOLDER / "systemd" / unit).read_text().replace("/opt/nightsafe/bin/nightsafe", "/bin/true")
    (folder / unit).write_text(text.replace(*change))
    return subprocess.run(
        [program, "verify", "--man=no", str(folder / unit)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing in a unit, and finds a misspelt setting."""
    done = verified(unit, tmp_path)
    assert (done.returncode, unit in done.stderr) == (0, False), done.stderr
    assert "Restrat" in verified(unit, tmp_path, ("Restart=", "Restrat=")).stderr


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_keep_secrets_in_credentials(unit: str) -> None:
    """A unit has a user of its own and gives its process a secret by LoadCredential, never by the environment."""
    lines = (FOLDER / "systemd" / unit).read_text().splitlines()
    values = {name: value for name, _, value in (line.partition("=") for line in lines)}
    assert values["User"].startswith("nightsafe-")
    assert values["LoadCredential"].split(":")[1].startswith("/etc/nightsafe")
    assert values["Restart"] == "always"
    variables = [line.removeprefix("Environment=").split("=") for line in lines if line.startswith("Environment=")]
    assert all(value.startswith(("%d/", "%t/", "/")) for _, value in variables)
