"""`docs/rotation.md` word by word, three rotations long: what it tells an operator to type is typed."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.tools.typed import Typist
from tests.clients.opened import opened
from tests.clients.wire.talk import Wire
from tests.server import Server

PAGE = Path(__file__).parents[4] / "docs" / "rotation.md"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
ROTATIONS = 3
API, DELIVERY = "API", "delivery"


def steps(section: str) -> Iterator[tuple[str, str]]:
    """Each line of the first block under a heading: at which machine it is typed, and what."""
    found = BLOCK.search(PAGE.read_text().partition(f"\n## {section}\n")[2])
    assert found is not None
    place = API
    for line in found[1].replace("\\\n", "").splitlines():
        if line.startswith("#"):
            place = DELIVERY if "n the delivery machine" in line else API
        elif line.strip():
            yield place, line


class Operator:
    """Types what the page says, at one machine or the other.

    Args:
        typist: who types.
        server: of the API's machine.
        api: the folder where commands are typed there.
        delivery: the folder where commands are typed on the other.
    """

    def __init__(self, typist: Typist, server: Server, api: Path, delivery: Path) -> None:
        self._typist = typist
        self._server = server
        self._folders = {API: api, DELIVERY: delivery}
        self.key = ""

    def type(self, place: str, line: str) -> str:
        """One line, which must end well; gives what is shown."""
        line = line.replace("https://safe.example/client/v4", self._server.base_url).replace("KEY", self.key)
        return self._typist.line(line, self._folders[place], self._environ(place))

    def refusal(self, *arguments: str) -> str:
        """What a command beside the API says that must not end well."""
        code, _, told = self._typist.command(*arguments, cwd=self._folders[API], environ=self._environ(API))
        assert code == 1
        return told

    def _environ(self, place: str) -> dict[str, str | None]:
        """The data directory is beside the API only."""
        return {"NIGHTSAFE_DATA": str(self._server.safe.path) if place == API else None}

    def status(self) -> Any:
        """What `keys status` tells."""
        return json.loads(self.type(API, "nightsafe keys status --json"))

    def check(self) -> None:
        """One key is left, a new one, which everything is sealed to; the doctor finds nothing wrong."""
        [key] = self.status()["keys"]
        assert ("primary", True) == (key["state"], key["id"] != self.key)
        self.type(API, "nightsafe doctor --quick")

    def rotate(self, section: str) -> None:
        """All that the page says for one rotation; files are brought over when it says so."""
        last = API
        for place, line in steps(section):
            if place != last:
                self.bring(last, place)
                last = place
            shown = self.type(place, line)
            if "keys rotate" in line:
                [self.key] = re.findall(r"otated from (\w+) to", shown)

    def bring(self, here: str, there: str) -> None:
        """What is handed over between the machines."""
        name = "token" if here == API else "public-ring.json"
        if (self._folders[here] / name).exists():
            shutil.copy(self._folders[here] / name, self._folders[there] / name)


def put(server: Server, number: int) -> None:
    """A value of its own before each rotation, and a newer one of another."""
    with Wire.to(server) as wire:
        for name in (f"S{number}", "SAME"):
            assert wire.put("worker", name, f"value-{number}").status == 200


@pytest.fixture
def server(own_server: Server) -> Server:
    """A server with a script."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
    return own_server


def everything() -> dict[str, str]:
    """The values after all rotations."""
    return {f"S{number}": f"value-{number}" for number in range(ROTATIONS)} | {"SAME": f"value-{ROTATIONS - 1}"}


def test_on_one_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rotation leaves the new key alone, and all values open; an older ring in the file's place is not used."""
    safe = server.safe
    operator = Operator(Typist(monkeypatch), server, safe.path.parent, safe.path.parent)
    public = safe.path / "keys" / "public-ring.json"
    for number in range(ROTATIONS):
        put(server, number)
        before = public.read_bytes()
        operator.rotate("On one machine")
        assert number + 2 == operator.status()["number"]
    operator.check()

    newest = public.read_bytes()
    public.write_bytes(before)
    put(server, ROTATIONS - 1)
    public.write_bytes(newest)
    operator.check()
    assert "ring.not_taken_up" in server.stderr.read_text()
    assert everything() == opened(safe, "worker")


def test_on_two_machines(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same; and the ring of a rotation before, or of before a removal, is refused and changes nothing."""
    safe = server.safe
    api, delivery = tmp_path / "api", tmp_path / "delivery"
    for folder in (api, delivery):
        folder.mkdir(mode=0o700)
    shutil.move(safe.private_ring, delivery / "private-ring.json")
    shutil.copy(safe.path / "keys" / "verify-keys.json", delivery)
    operator = Operator(Typist(monkeypatch), server, api, delivery)
    for number in range(ROTATIONS):
        put(server, number)
        operator.rotate("On two machines")
        shutil.copy(api / "public-ring.json", tmp_path / f"handed-{number}.json")
        assert operator.key not in (delivery / "public-ring.json").read_text()
        operator.check()

    for number in range(ROTATIONS):
        assert "is an older ring" in operator.refusal("keys", "install", str(tmp_path / f"handed-{number}.json"))
    operator.check()
    shutil.copy(delivery / "private-ring.json", safe.private_ring)
    assert everything() == opened(safe, "worker")
