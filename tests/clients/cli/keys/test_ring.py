"""An untrusted server, seen from the command line: it cannot make a client seal a value to a foreign ring."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.server import Server, run

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_signer import public_ring

ACCOUNT, CODE = "023e105f4ecef8ad9ca31a8372d0c353", b"export default {}"
PRIVATE = PrivateRing.generate()
RING, FOREIGN = public_ring(PRIVATE), public_ring(PrivateRing.generate())
ROTATED = public_ring(PRIVATE.rotated(), RING, PRIVATE.primary)


class UntrustedServer(ThreadingHTTPServer):
    """A server that offers any ring and keeps the requests that it receives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ring: PublicRing | None = RING
        self.received: list[Any] = []

    @property
    def sealed_to(self) -> list[str | None]:
        """Return the key that each value was sealed to, or None for a value that arrived unsealed."""
        return [secret.get("key_id") for body in self.received for secret in body["secrets"].values()]


class _Handler(BaseHTTPRequestHandler):
    """Answers in the envelope of the API."""

    server: UntrustedServer

    def do_GET(self) -> None:
        """Answer with the public ring; every other path does not exist."""
        if self.path.endswith("/public-ring") and self.server.ring is not None:
            ring = self.server.ring
            self._answer(
                200, {"result": json.loads(ring.encode_offer()), "result_info": json.loads(ring.encode_proof())}
            )
        else:
            self._answer(404, {"result": None, "success": False, "errors": [{"code": 7003, "message": "no"}]})

    def do_PATCH(self) -> None:
        """Keep the request's body."""
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(200, {"result": {"A": {"name": "A", "type": "secret_text"}}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        """Send an answer."""
        content = json.dumps({"success": True, "errors": [], "messages": [], **body}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def untrusted() -> Iterator[UntrustedServer]:
    """Yield an untrusted server."""
    with UntrustedServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def user(untrusted: UntrustedServer, tmp_path: Path) -> UserEnvironment:
    """Return a user's environment that is set up for the untrusted server."""
    user = UserEnvironment.__new__(UserEnvironment)
    user.home, user.cwd = tmp_path / "home", tmp_path / "work"
    user.home.mkdir()
    user.cwd.mkdir()
    user.environ = {
        "HOME": str(user.home),
        "LANG": "C.UTF-8",
        "CLOUDFLARE_BASE_URL": f"http://127.0.0.1:{untrusted.server_port}/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_API_TOKEN": "any",
        "NIGHTSAFE_SCRIPT": "s",
    }
    return user


def put(user: UserEnvironment, *options: str, **environ: str) -> str:
    """Put a secret; return the text on standard error."""
    return user.run("secret", "put", "A", "--yes", "--no-fingerprint", *options, stdin=b"value", **environ).stderr


def test_the_first_ring_is_remembered_and_others_are_refused(
    user: UserEnvironment, untrusted: UntrustedServer
) -> None:
    """The first ring is remembered, with a message; another ring, or none, is refused until the user trusts it."""
    assert f"is remembered from now on: {RING.identity.fingerprint}" in put(user)
    untrusted.ring = FOREIGN
    refused = put(user)
    assert f"Known: {RING.identity.fingerprint}, offered: {FOREIGN.identity.fingerprint}" in refused
    assert "nightsafe ring trust" in refused
    assert "the known ring did not sign it" in user.json("ring", "show")["verdict"]
    untrusted.ring = None
    assert "no longer offers one" in put(user)
    assert "the server no longer offers one" == user.json("ring", "show")["verdict"]
    assert [RING.primary.id] == untrusted.sealed_to

    untrusted.ring = ROTATED
    assert "signed by the known ring" == user.json("ring", "show")["verdict"]
    put(user)
    untrusted.ring = FOREIGN
    assert "the server offers a ring with another fingerprint" in user.refusal(
        "ring", "trust", "--fingerprint", "SHA256:x", code=1
    )
    assert "give --fingerprint, or --yes" in user.refusal("ring", "trust", code=2)
    user.run("ring", "trust", "--fingerprint", FOREIGN.identity.fingerprint)
    put(user)
    assert [RING.primary.id, ROTATED.primary.id, FOREIGN.primary.id] == untrusted.sealed_to


def test_after_ring_forget_values_may_be_sent_unsealed(user: UserEnvironment, untrusted: UntrustedServer) -> None:
    """A server without a ring gets unsealed values only after `ring forget`, and the command says so each time."""
    put(user)
    assert "give --yes" in user.refusal("ring", "forget", code=2)
    assert {"forgotten": True} == user.json("ring", "forget", "--yes")
    assert {"forgotten": False} == user.json("ring", "forget", "--yes")
    untrusted.ring = None
    assert "values are sent unsealed" in put(user)
    assert [RING.primary.id, None] == untrusted.sealed_to


def test_a_ring_from_a_file_replaces_the_servers_ring(user: UserEnvironment, untrusted: UntrustedServer) -> None:
    """With `--public-ring` the command uses that file instead of the server's ring, and remembers nothing."""
    RING.save(user.cwd / "ring.json")
    untrusted.ring = FOREIGN
    put(user, "--public-ring", "ring.json")
    put(user, NIGHTSAFE_PUBLIC_RING="ring.json", NIGHTSAFE_SEAL="require")
    assert [RING.primary.id] * 2 == untrusted.sealed_to
    assert not (user.home / ".config").exists()


def test_a_home_that_cannot_be_written_gives_a_warning(user: UserEnvironment, untrusted: UntrustedServer) -> None:
    """Without a writable home the command warns that it cannot remember the ring; `--seal require` is refused."""
    user.environ["HOME"] = "/proc/1"
    assert "remembered in this process only" in put(user)
    assert "cannot be remembered" in put(user, "--seal", "require")
    assert [RING.primary.id] == untrusted.sealed_to


def test_a_client_follows_two_signed_rotations(own_server: Server, tmp_path: Path) -> None:
    """A client that has missed two rotations follows the signatures of the safe's private ring."""
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


def test_keys_sign_signs_an_unsigned_ring_of_this_safe_only(own_server: Server, tmp_path: Path) -> None:
    """`keys status` reports an unsigned ring; `keys sign` signs it while the server runs, but no foreign ring."""
    data, file = ("--data", str(own_server.safe.path)), own_server.safe.path / "keys" / "public-ring.json"
    signed = PublicRing.load(file)
    PublicRing(signed.keys, number=1).save(file, replace=True)

    assert "nightsafe keys sign" in run("keys", "status", *data, cwd=tmp_path).stdout
    assert signed.identity.fingerprint in run("keys", "sign", *data, cwd=tmp_path).stdout
    assert signed.identity == PublicRing.load(file).identity
    FOREIGN.save(tmp_path / "foreign.json")
    assert 1 == run("keys", "sign", *data, "--public-ring", str(tmp_path / "foreign.json"), cwd=tmp_path).returncode
