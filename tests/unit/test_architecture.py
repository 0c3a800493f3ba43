"""docs/architecture.md agrees with the code: the floors, the flows, and one name for each resource."""

import json
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import click
import grimp
import pytest
from tests.flows import PAGE, ROOT, SOURCE, entered, listed, missed
from tests.unit.api.tools.driver import JSON, SCRIPTS, Api
from tests.unit.api.tools.rotation import with_values

from nightsafe.api.http.errors import INTERNAL, TABLE
from nightsafe.cli.server import deliver, serve
from nightsafe.cli.tree import leaves
from nightsafe.services.scripts.setting_fields import VERSION_LEVEL

SECRET = json.dumps({"name": "S", "type": "secret_text", "text": "a-value"}).encode()
SECRETS = f"{SCRIPTS}/worker/secrets"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API of the test's own."""
    with Api(tmp_path) as api:
        yield api


def test_getting_a_secret_enters_the_listed_functions(api: Api) -> None:
    """A GET with a known token enters the listed functions in order."""
    assert 200 == api.upload("worker").status
    assert 200 == api.send("PUT", SECRETS, SECRET, [JSON]).status
    assert 200 == api.send("GET", f"{SECRETS}/S").status
    with entered() as steps:
        assert 200 == api.send("GET", f"{SECRETS}/S").status

    assert [] == missed(listed("Get a secret"), steps)


def test_putting_a_secret_enters_the_listed_functions(api: Api) -> None:
    """A PUT enters the listed functions in order."""
    assert 200 == api.upload("worker").status
    with entered() as steps:
        assert 200 == api.send("PUT", SECRETS, SECRET, [JSON]).status

    assert [] == missed(listed("Put a secret"), steps)


def test_uploading_a_script_enters_the_listed_functions(api: Api) -> None:
    """An upload enters the listed functions in order."""
    with entered() as steps:
        assert 200 == api.upload("worker").status

    assert [] == missed(listed("Upload a script"), steps)


def test_rotating_the_key_enters_the_listed_functions(api: Api, tmp_path: Path) -> None:
    """A rotation and one pass of the delivery process enter the listed functions in order."""
    rotation = with_values(api, tmp_path)
    with entered() as steps:
        rotation.rotate()
        rotation.reseal()

    assert [] == missed(listed("Rotate the key"), steps)


def test_a_step_that_is_not_entered_is_reported() -> None:
    """A step that is out of order, or never entered, is reported."""
    first, second = ("a.py", "f"), ("b.py", "g")

    assert [] == missed([first, second], [first, first, second])
    assert [first] == missed([second, first], [first, second])


def test_the_documented_floors_are_the_checked_ones() -> None:
    """Each package is on the same floor in the table and in the import check."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.split(" | ") for layer in contracts[0]["layers"]][1:]
    checked = {name: len(layers) - place for place, names in enumerate(layers) for name in names}
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?:/|\.py)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert checked == {name: int(floor) for floor, name in rows}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """No modules import each other in a circle, also not for types or in a late import."""
    graph = grimp.build_graph("nightsafe", exclude_type_checking_imports=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    TopologicalSorter(imports).prepare()


def test_no_folder_has_more_than_fifteen_modules() -> None:
    """No folder of the source has more than fifteen modules."""
    counts = {
        str(folder.relative_to(SOURCE)): len([file for file in folder.glob("*.py") if file.name != "__init__.py"])
        for folder in (SOURCE, *SOURCE.rglob("*"))
        if folder.is_dir()
    }

    assert {} == {folder: count for folder, count in counts.items() if count > 15}


WITHOUT_USE_CASE = {
    "api/audit/filters.py": "the filters of the log's version 2",
    "api/audit/logs_v1.py": "an older form of the log",
    "api/audit/query.py": "the query parameters of both forms of the log",
    "api/audit/views.py": "the JSON of the log's entries",
    "api/scripts/service_environments.py": "an older layer over scripts",
    "api/scripts/upload_form.py": "the multipart form of an upload",
    "api/scripts/views.py": "the JSON of scripts and versions",
    "api/scripts/visibility.py": "one rule for three lists",
    "api/versions/deployments_by_script.py": "an older form of deployments",
    "api/identity/token_fields.py": "the body of a token",
    "api/key_rotation/public_ring.py": "the ring is a file, without a use case",
}
"""Files of the API's resources that have no use case of the same name, and why."""


def test_a_resource_has_one_name_in_api_and_services() -> None:
    """Each file of a resource in `api/` has a file of the same name in `services/`, or is listed with a reason."""
    files = {
        file.relative_to(SOURCE / "api")
        for file in (SOURCE / "api").glob("*/*.py")
        if file.name != "__init__.py" and file.parent.name not in {"http", "unsupported"}
    }
    lonely = {f"api/{file}" for file in files if not (SOURCE / "services" / file).is_file()}

    assert set(WITHOUT_USE_CASE) == lonely


def folders_in(folder: Path) -> set[str]:
    """Return the names of the folders in a folder, without caches and helpers of tests."""
    return {path.name for path in folder.iterdir() if path.is_dir()} - {"tools", "__pycache__"}


def table(title: str) -> dict[str, list[str]]:
    """Return the names in the rows of the page's table under a heading, by the name in the first column."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE)
    return {name: re.findall(r"`([^`]+)`", rest) for name, rest in rows}


def test_resources_have_the_listed_names_elsewhere() -> None:
    """Each resource of the API and the services is in the table of names, and every path in the table exists."""
    names = table("Names")

    assert folders_in(SOURCE / "api") - {"http", "unsupported"} == folders_in(SOURCE / "services") == names.keys()
    assert [] == [path for paths in names.values() for path in paths if not (SOURCE / path).exists()]


def test_every_command_of_a_resource_is_in_the_table() -> None:
    """Each command of a resource, and each module of a resource in the client, is in the table of names."""
    listed_paths = {path for paths in table("Names").values() for path in paths}
    commands = {f"cli/{leaf.module.partition('.')[0]}" for _, leaf in leaves()}
    client = {file.relative_to(SOURCE).as_posix() for file in (SOURCE / "client" / "aio").glob("*s.py")}

    assert {"cli/completion", "cli/doctor", "cli/safe", "cli/server", "cli/store", "cli/whoami"} == {
        path for path in commands if not {f"{path}.py", f"{path}/"} & listed_paths
    }
    assert {"client/aio/resources.py"} == client - listed_paths


def test_the_other_folders_are_listed() -> None:
    """The page lists each folder of the tests, and each top-level folder with code besides the package."""
    listed_folders = {name.rstrip("/") for name in table("Other folders")}
    others = {path.name for path in ROOT.iterdir() if path.is_dir()} & {"tools", "benchmarks", "examples", "workerd"}

    assert {f"tests/{name}" for name in folders_in(ROOT / "tests")} | others == listed_folders


def test_test_folders_are_named_after_what_they_test() -> None:
    """A folder of unit tests, and each folder in it, is named after the folder that it tests."""
    unit = ROOT / "tests" / "unit"
    inner = {f"{name}/{below}" for name in folders_in(unit) for below in folders_in(unit / name)}

    assert [] == [name for name in sorted(folders_in(unit) | inner) if not (SOURCE / name).is_dir()]


NOT_A_FOLDER_OF_THE_SOURCE = {
    "clients/cli/script": "the commands of scripts, versions and deployments, which are single modules",
    "delivery/cells": "several modules of `delivery/workerd/` and `delivery/runtime/`",
    "delivery/front": "requests from outside, which `delivery/runtime/` takes",
}
"""Folders of tests with processes that have other names than what they test, and why."""


@pytest.mark.parametrize(("tests", "package"), [("clients/cli", "cli"), ("delivery", "delivery")])
def test_folders_of_process_tests_are_named_after_what_they_test(tests: str, package: str) -> None:
    """A folder of tests of the command line or of delivery is named after the folder that it tests, or is listed."""
    names = folders_in(ROOT / "tests" / tests)

    assert {f"{tests}/{name}" for name in names - folders_in(SOURCE / package)} == {
        name for name in NOT_A_FOLDER_OF_THE_SOURCE if name.startswith(f"{tests}/")
    }


def changes_section() -> str:
    """Return the section of CONTRIBUTING.md about the files of each kind of change."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return page.split("\n## Where to change what\n", 1)[1].split("\n## ", 1)[0]


def changes() -> dict[str, list[str]]:
    """Return the files that CONTRIBUTING.md lists for each kind of change, by its heading."""
    _, *parts = changes_section().split("\n### ")
    return {part.partition("\n")[0]: re.findall(r"^- `([^`]+)`", part, re.MULTILINE) for part in parts}


def test_no_change_needs_more_than_seven_files() -> None:
    """Each kind of change that CONTRIBUTING.md lists names at most seven files, and they all exist."""
    named = changes()

    assert 5 <= len(named)
    assert {} == {change: files for change, files in named.items() if not 3 <= len(files) <= 7}
    assert [] == [file for files in named.values() for file in files if not (ROOT / file).is_file()]


def test_every_file_named_beside_the_lists_exists() -> None:
    """Each file that the section names exists, in the repository or in the package."""
    files = re.findall(r"`([\w/]+\.\w+)`", changes_section())

    assert 30 < len(files)
    assert [] == [file for file in files if not (ROOT / file).is_file() and not (SOURCE / file).is_file()]


def lacking(change: str, words: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return each file with a word that it lacks. The list of the change must name every file.

    Args:
        change: the heading of the list.
        words: the words that a file must contain, by the file's path.
    """
    assert words.keys() <= set(changes()[change])
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in words}
    return [(file, word) for file, needed in words.items() for word in needed if word not in texts[file]]


def own_settings(command: click.Command) -> list[click.Option]:
    """Return the options of a command that are settings, except the options that several commands share."""
    shared = {"data", "store", "log_format", "proxy_header", "trusted_proxy"}
    options = [one for one in command.params if isinstance(one, click.Option) and one.name not in shared]
    return [one for one in options if isinstance(one.envvar, str) and one.envvar.startswith("NIGHTSAFE_")]


@pytest.mark.parametrize(
    ("change", "module", "command"),
    [
        ("A new setting of the API process", "serve", serve.command),
        ("A new setting of the delivery process", "delivery_options", deliver.command),
    ],
    ids=["API", "delivery"],
)
def test_every_setting_is_in_the_listed_files(change: str, module: str, command: click.Command) -> None:
    """Each setting of a process is in the module of its option, among the settings of the file, and on the page."""
    options = own_settings(command)
    flags, names = [f'"{one.opts[0]}"' for one in options], [f'"{one.name}"' for one in options]

    assert 10 < len(options)
    assert [] == lacking(
        change,
        {
            f"src/nightsafe/cli/server/{module}.py": flags,
            "src/nightsafe/cli/settings/settings_file.py": names,
            "docs/configuration.md": [f"`{one.opts[0]}` | `{one.envvar}`" for one in options],
        },
    )


def test_every_error_code_is_in_the_listed_files() -> None:
    """Each error code that clients see is among the codes, in the table of answers, and on the page of the API."""
    assert [] == lacking(
        "A new error code",
        {
            "src/nightsafe/errors.py": [f"    {code.name} = " for code in TABLE],
            "src/nightsafe/api/http/errors.py": [f"Code.{code.name}" for code in TABLE],
            "docs/api.md": [str(row.code) for row in TABLE.values() if row.code != INTERNAL.code],
        },
    )


WITHOUT_NOTICE = {
    "compatibility_date": "delivered",
    "compatibility_flags": "delivered",
    "exports": "describes the code",
    "limits": "delivered",
    "package_dependencies": "describes the code",
    "usage_model": "a choice of billing",
}
"""Settings of a version that need no notice, and why."""


def test_every_setting_of_a_version_is_in_the_listed_files() -> None:
    """Each setting of a version has a type, and a notice unless it is listed here with a reason."""
    assert [] == lacking(
        "A new field of a version",
        {
            "src/nightsafe/services/scripts/setting_fields.py": [f'    "{name}": ' for name in VERSION_LEVEL],
            "src/nightsafe/services/notices.py": [f'"{one}"' for one in VERSION_LEVEL if one not in WITHOUT_NOTICE],
        },
    )
