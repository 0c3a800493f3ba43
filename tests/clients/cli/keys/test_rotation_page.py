"""Three rotations with exactly the commands of `docs/rotation.md`."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.tools.in_process_shell import Typist
from tests.clients.stored_values import opened
from tests.clients.wire.talk import Wire
from tests.server import Server

PAGE = Path(__file__).parents[4] / "docs" / "rotation.md"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
ROTATIONS = 3
API, DELIVERY = "API", "delivery"


def steps(section: str) -> Iterator[tuple[str, str]]:
    """Yield each command line of the first block under a heading, with the machine on which it is typed."""
    found = BLOCK.search(PAGE.read_text().partition(f"\n## {section}\n")[2])
    assert found is not None
    place = API
    for line in found[1].replace("\\\n", "").splitlines():
        if line.startswith("#"):
            place = DELIVERY if "n the delivery machine" in line else API
        elif line.strip():
            yield place, line


class Operator:
    """Types the page's commands on either machine.

    Args:
        typist: types the commands.
        server: the server on the API's machine.
        api: the working directory on the API's machine.
        delivery: the working directory on the delivery machine.
    """

    def __init__(self, typist: Typist, server: Server, api: Path, delivery: Path) -> None:
        self._typist = typist
        self._server = server
        self._folders = {API: api, DELIVERY: delivery}
        self.key = ""

    def type(self, place: str, line: str) -> str:
        """Type one line, which must succeed; return the text on the screen."""
        line = line.replace("https://safe.example/client/v4", self._server.base_url).replace("KEY", self.key)
        return self._typist.line(line, self._folders[place], self._environ(place))

    def refusal(self, *arguments: str) -> str:
        """Run a command on the API's machine that must fail; return its message."""
        code, _, told = self._typist.command(*arguments, cwd=self._folders[API], environ=self._environ(API))
        assert code == 1
        return told

    def _environ(self, place: str) -> dict[str, str | None]:
        """Return the environment of a machine; only the API's machine has the data directory."""
        return {"NIGHTSAFE_DATA": str(self._server.safe.path) if place == API else None}

    def status(self) -> Any:
        """Return the output of `keys status`."""
        return json.loads(self.type(API, "nightsafe keys status --json"))

    def check(self) -> None:
        """Check that only one, new key is left and that the doctor finds nothing wrong."""
        [key] = self.status()["keys"]
        assert ("primary", True) == (key["state"], key["id"] != self.key)
        self.type(API, "nightsafe doctor --quick")

    def rotate(self, section: str) -> None:
        """Type all commands of one rotation, and copy the files when the page says so."""
        last = API
        for place, line in steps(section):
            if place != last:
                self.copy_files(last, place)
                last = place
            shown = self.type(place, line)
            if "keys rotate" in line:
                [self.key] = re.findall(r"otated from (\w+) to", shown)

    def copy_files(self, here: str, there: str) -> None:
        """Copy the token or the public ring to the other machine."""
        name = "token" if here == API else "public-ring.json"
        if (self._folders[here] / name).exists():
            shutil.copy(self._folders[here] / name, self._folders[there] / name)


def put_values(server: Server, number: int) -> None:
    """Put a new secret and change the value of another."""
    with Wire.to(server) as wire:
        for name in (f"S{number}", "SAME"):
            assert wire.put("worker", name, f"value-{number}").status == 200


@pytest.fixture
def server(own_server: Server) -> Server:
    """Return a server with a script."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    return own_server


def all_values() -> dict[str, str]:
    """Return the values after all rotations."""
    return {f"S{number}": f"value-{number}" for number in range(ROTATIONS)} | {"SAME": f"value-{ROTATIONS - 1}"}


def test_the_page_rotates_on_one_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rotation leaves only the new key and all values open; an older ring in the file's place is not used."""
    safe = server.safe
    operator = Operator(Typist(monkeypatch), server, safe.path.parent, safe.path.parent)
    public = safe.path / "keys" / "public-ring.json"
    for number in range(ROTATIONS):
        put_values(server, number)
        before = public.read_bytes()
        operator.rotate("On one machine")
        assert number + 2 == operator.status()["number"]
    operator.check()

    newest = public.read_bytes()
    public.write_bytes(before)
    put_values(server, ROTATIONS - 1)
    public.write_bytes(newest)
    operator.check()
    assert "ring.not_taken_up" in server.stderr.read_text()
    assert all_values() == opened(safe, "worker")


def test_the_page_rotates_on_two_machines(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on two machines; rings from before a rotation or a removal are refused and change nothing."""
    safe = server.safe
    api, delivery = tmp_path / "api", tmp_path / "delivery"
    for folder in (api, delivery):
        folder.mkdir(mode=0o700)
    shutil.move(safe.private_ring, delivery / "private-ring.json")
    shutil.copy(safe.path / "keys" / "verify-keys.json", delivery)
    operator = Operator(Typist(monkeypatch), server, api, delivery)
    for number in range(ROTATIONS):
        put_values(server, number)
        operator.rotate("On two machines")
        shutil.copy(api / "public-ring.json", tmp_path / f"handed-{number}.json")
        assert operator.key not in (delivery / "public-ring.json").read_text()
        operator.check()

    for number in range(ROTATIONS):
        assert "is an older ring" in operator.refusal("keys", "install", str(tmp_path / f"handed-{number}.json"))
    operator.check()
    shutil.copy(delivery / "private-ring.json", safe.private_ring)
    assert all_values() == opened(safe, "worker")
