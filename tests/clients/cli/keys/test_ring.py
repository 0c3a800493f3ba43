"""A server that cannot be trusted, seen from the command line: it cannot have a value sealed to a ring of its own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.tools.desk import Desk
from tests.server import Server, run

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_signer import public_ring

ACCOUNT, CODE = "023e105f4ecef8ad9ca31a8372d0c353", b"export default {}"
PRIVATE = PrivateRing.generate()
RING, FOREIGN = public_ring(PRIVATE), public_ring(PrivateRing.generate())
ROTATED = public_ring(PRIVATE.rotated(), RING, PRIVATE.primary)


class Liar(ThreadingHTTPServer):
    """A server that offers whatever ring it likes, and keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ring: PublicRing | None = RING
        self.sent: list[Any] = []

    @property
    def sealed_to(self) -> list[str | None]:
        """The key that each value was sealed to; None for one that came in the clear."""
        return [secret.get("key_id") for body in self.sent for secret in body["secrets"].values()]


class _Handler(BaseHTTPRequestHandler):
    """Answers in the envelope of the API."""

    server: Liar

    def do_GET(self) -> None:
        """The ring, and no other thing."""
        if self.path.endswith("/public-ring") and self.server.ring is not None:
            ring = self.server.ring
            self._answer(200, {"result": json.loads(ring.offered()), "result_info": json.loads(ring.proof())})
        else:
            self._answer(404, {"result": None, "success": False, "errors": [{"code": 7003, "message": "no"}]})

    def do_PATCH(self) -> None:
        """Keep what is sent."""
        self.server.sent.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(200, {"result": {"A": {"name": "A", "type": "secret_text"}}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        """Send it."""
        content = json.dumps({"success": True, "errors": [], "messages": [], **body}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar() -> Iterator[Liar]:
    """Such a server."""
    with Liar() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def desk(liar: Liar, tmp_path: Path) -> Desk:
    """Somebody who works with it."""
    desk = Desk.__new__(Desk)
    desk.home, desk.cwd = tmp_path / "home", tmp_path / "work"
    desk.home.mkdir()
    desk.cwd.mkdir()
    desk.environ = {
        "HOME": str(desk.home),
        "LANG": "C.UTF-8",
        "CLOUDFLARE_BASE_URL": f"http://127.0.0.1:{liar.server_port}/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_API_TOKEN": "any",
        "NIGHTSAFE_SCRIPT": "s",
    }
    return desk


def put(desk: Desk, *options: str, **environ: str) -> str:
    """Put a secret; gives what is said."""
    return desk.run("secret", "put", "A", "--yes", "--no-fingerprint", *options, stdin=b"value", **environ).stderr


def test_a_ring_is_known_from_its_first_sight(desk: Desk, liar: Liar) -> None:
    """It is remembered in so many words; then another one, and none, is refused until it is trusted by name."""
    assert f"is remembered from now on: {RING.identity.fingerprint}" in put(desk)
    liar.ring = FOREIGN
    refused = put(desk)
    assert f"Known: {RING.identity.fingerprint}, offered: {FOREIGN.identity.fingerprint}" in refused
    assert "nightsafe ring trust" in refused
    assert "the known ring did not sign it" in desk.json("ring", "show")["verdict"]
    liar.ring = None
    assert "no longer offers one" in put(desk)
    assert "the server no longer offers one" == desk.json("ring", "show")["verdict"]
    assert [RING.primary.id] == liar.sealed_to

    liar.ring = ROTATED
    assert "signed by the known ring" == desk.json("ring", "show")["verdict"]
    put(desk)
    liar.ring = FOREIGN
    assert "the server offers a ring with another fingerprint" in desk.refusal(
        "ring", "trust", "--fingerprint", "SHA256:x", code=1
    )
    assert "give --fingerprint, or --yes" in desk.refusal("ring", "trust", code=2)
    desk.run("ring", "trust", "--fingerprint", FOREIGN.identity.fingerprint)
    put(desk)
    assert [RING.primary.id, ROTATED.primary.id, FOREIGN.primary.id] == liar.sealed_to


def test_a_ring_is_forgotten_on_purpose(desk: Desk, liar: Liar) -> None:
    """Only then a server without a ring gets values as they are, which is said each time."""
    put(desk)
    assert "give --yes" in desk.refusal("ring", "forget", code=2)
    assert {"forgotten": True} == desk.json("ring", "forget", "--yes")
    assert {"forgotten": False} == desk.json("ring", "forget", "--yes")
    liar.ring = None
    assert "values are sent unsealed" in put(desk)
    assert [RING.primary.id, None] == liar.sealed_to


def test_a_ring_brought_by_hand(desk: Desk, liar: Liar) -> None:
    """No server is believed for it, and nothing is remembered."""
    RING.save(desk.cwd / "ring.json")
    liar.ring = FOREIGN
    put(desk, "--public-ring", "ring.json")
    put(desk, NIGHTSAFE_PUBLIC_RING="ring.json", NIGHTSAFE_SEAL="require")
    assert [RING.primary.id] * 2 == liar.sealed_to
    assert not (desk.home / ".config").exists()


def test_no_home_to_remember_in(desk: Desk, liar: Liar) -> None:
    """Where nothing can be remembered, that is said; a required seal is refused."""
    desk.environ["HOME"] = "/proc/1"
    assert "remembered in this process only" in put(desk)
    assert "cannot be remembered" in put(desk, "--seal", "require")
    assert [RING.primary.id] == liar.sealed_to


def test_a_rotation_of_a_real_safe_is_followed(own_server: Server, tmp_path: Path) -> None:
    """A client that has missed two rotations follows what the safe's private ring has signed."""
    from nightsafe.client import Nightsafe  # noqa: PLC0415 - beside the commands

    data, known = ("--data", str(own_server.safe.path)), tmp_path / "known-rings"
    settings: dict[str, Any] = {"base_url": own_server.base_url, "api_token": own_server.safe.api_token}
    with Nightsafe(**settings, known_rings=known, seal="require") as client:
        client.workers.scripts.update(
            "s", account_id=ACCOUNT, metadata={"main_module": "m.js"}, files=[("m.js", CODE)]
        )
    first = known.read_text()
    for _ in range(2):
        assert 0 == run("keys", "rotate", *data, cwd=tmp_path).returncode
    with Nightsafe(**settings, known_rings=known, seal="require") as client:
        secrets = client.workers.scripts.secrets
        secrets.update("s", account_id=ACCOUNT, name="A", text="value", type="secret_text")
    shown = json.loads(run("keys", "status", "--json", *data, cwd=tmp_path).stdout)

    ring = PublicRing.load(own_server.safe.path / "keys" / "public-ring.json")
    assert (3, ring.identity.fingerprint, True) == (shown["number"], shown["fingerprint"], shown["signed"])
    assert 2 == len(ring.lineage.links)
    assert first != known.read_text()
    assert f" {ACCOUNT} 3 " in known.read_text()


def test_an_older_safe_signs_its_ring(own_server: Server, tmp_path: Path) -> None:
    """A ring of before says so, `keys sign` mends it while the server runs, and no other ring is signed by it."""
    data, file = ("--data", str(own_server.safe.path)), own_server.safe.path / "keys" / "public-ring.json"
    signed = PublicRing.load(file)
    PublicRing(signed.keys, number=1).save(file, replace=True)

    assert "nightsafe keys sign" in run("keys", "status", *data, cwd=tmp_path).stdout
    assert signed.identity.fingerprint in run("keys", "sign", *data, cwd=tmp_path).stdout
    assert signed.identity == PublicRing.load(file).identity
    FOREIGN.save(tmp_path / "foreign.json")
    assert 1 == run("keys", "sign", *data, "--public-ring", str(tmp_path / "foreign.json"), cwd=tmp_path).returncode
