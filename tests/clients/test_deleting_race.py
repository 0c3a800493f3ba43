"""A Worker that is deleted while another Worker is bound to it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, send_form
from tests.server import Server

ROUNDS = 12
CALLER = "caller-of-gone"
WAYS = {
    "upload": ("PUT", "metadata", ""),
    "version": ("POST", "metadata", "/versions"),
    "settings": ("PATCH", "settings", "/settings"),
}


def bind(wire: Wire, way: str, target: str) -> Answer:
    """Bind the calling script to another script."""
    method, part, below = WAYS[way]
    wanted = {"bindings": [{"type": "service", "name": "TARGET", "service": target}]}
    main = {"main_module": "worker.js"} if part == "metadata" else {}
    return send_form(wire, method, f"{SCRIPTS}/{CALLER}{below}", part, main | wanted)


def at_once(*asks: Callable[[], Answer]) -> list[Answer]:
    """Send requests at the same moment; return their answers."""
    barrier = Barrier(len(asks))

    def ask(request: Callable[[], Answer]) -> Answer:
        """Send one of the requests."""
        barrier.wait()
        return request()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


@pytest.mark.parametrize("way", WAYS)
def test_a_deletion_or_its_concurrent_binding_is_refused(server: Server, way: str) -> None:
    """Either the deletion is refused with 10142 or the binding with 10143, so no binding lacks its target."""
    with Wire.to(server) as deleting, Wire.to(server) as binding:
        for number in range(ROUNDS):
            target = f"gone-{way}-{number}"
            for name in (target, CALLER):
                assert deleting.upload(name).status == 200

            deleted, bound = at_once(
                partial(deleting.ask, "DELETE", f"{SCRIPTS}/{target}"), partial(bind, binding, way, target)
            )

            there = deleting.ask("GET", f"{SCRIPTS}/{target}/settings").status == 200
            assert (there, not there) == (bound.status == 200, deleted.status == 200)
            assert (400, [10142 if there else 10143]) == (deleted if there else bound).refusal
