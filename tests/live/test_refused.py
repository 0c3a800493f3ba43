"""What is not as it was signed, or older than what was seen, is not served, and somebody is told."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.server import Safe, Server

from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


@contextmanager
def served(safe: Safe) -> Iterator[tuple[Server, Wire]]:
    """A safe that is served, and its owner."""
    with Server(safe) as server, Wire.to(server) as wire:
        yield server, wire


def test_a_database_that_was_put_back(safe: Safe, tmp_path: Path) -> None:
    """Is noticed at once by a delivery process that runs, and by one that starts anew: nothing older is served."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
        port = server.port
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
    shutil.copytree(safe.path, tmp_path / "older")
    with closing(Server(safe)) as server, ExitStack() as stack:
        server.start_at(port)
        stack.enter_context(delivery)
        with Wire.to(server) as wire:
            put(wire, "worker", "TOKEN", "new")
        until(lambda: delivery.workers.get("worker").text == "new")
        server.stop()
        shutil.rmtree(safe.path)
        shutil.copytree(tmp_path / "older", safe.path)
        server.start_at(port)
        until(lambda: [one for one in delivery.problems() if "put back to an older state" in one])
        assert "new" == delivery.workers.text("worker")

        delivery.stop()
        delivery.start()
        until(lambda: delivery.workers.get("worker").status_code == 503)
        assert [one for one in delivery.problems() if one.startswith("the bundle has serial")]

        delivery.stop()
        (delivery.folder / "delivery-marks.json").unlink()  # the operator says that it was meant
        delivery.start()
        until(lambda: delivery.workers.get("worker").text == "old")


def test_bundles_of_another_signer(safe: Safe, tmp_path: Path) -> None:
    """Are refused: whoever took the API's address, or its signing key's place."""
    with served(safe) as (server, wire):
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        keys = delivery.folder / "verify-keys.json"
        VerifyKeys([SigningKey.generate().verify_key]).save(keys, replace=True)
        with delivery:
            until(lambda: [one for one in delivery.problems() if "no trusted key has signed this bundle" in one])
            assert 503 == delivery.workers.get("worker").status_code
