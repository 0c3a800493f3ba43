"""docs/architecture.md agrees with the code: the floors, the flows, and one name for each resource."""

import json
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from tests.flows import PAGE, ROOT, SOURCE, entered, listed, missed
from tests.unit.api.tools.driver import JSON, SCRIPTS, Api
from tests.unit.api.tools.rotation import with_values

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


@pytest.mark.parametrize("package", ["api", "services"])
def test_test_folders_are_named_after_what_they_test(package: str) -> None:
    """A folder of unit tests is named after the folder that it tests."""
    folders = {path.name for path in (ROOT / "tests" / "unit" / package).iterdir() if path.is_dir()}

    assert folders - {"tools", "__pycache__"} <= {path.name for path in (SOURCE / package).iterdir()}


def test_no_change_needs_more_than_seven_files() -> None:
    """Each kind of change that CONTRIBUTING.md lists names at most seven files, all of which exist."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split("\n## Where to change what\n", 1)[1].split("\n## ", 1)[0]
    _, *changes = section.split("\n### ")
    named = {one.partition("\n")[0]: re.findall(r"^- `([^`]+)`", one, re.MULTILINE) for one in changes}

    assert 5 <= len(named)
    assert {} == {change: files for change, files in named.items() if not 3 <= len(files) <= 7}
    assert [] == [file for files in named.values() for file in files if not (ROOT / file).is_file()]
