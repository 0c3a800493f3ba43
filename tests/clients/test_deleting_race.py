"""A Worker that is deleted while another one is bound to it: one of the two is refused, whichever came first."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, form
from tests.server import Server

ROUNDS = 12
CALLER = "caller-of-gone"
WAYS = {
    "upload": ("PUT", "metadata", ""),
    "version": ("POST", "metadata", "/versions"),
    "settings": ("PATCH", "settings", "/settings"),
}


def bind(wire: Wire, way: str, target: str) -> Answer:
    """Bind the calling script to another one."""
    method, part, below = WAYS[way]
    wanted = {"bindings": [{"type": "service", "name": "TARGET", "service": target}]}
    main = {"main_module": "worker.js"} if part == "metadata" else {}
    content_type, body = form({part: json.dumps(main | wanted).encode()})
    return wire.ask(method, f"{SCRIPTS}/{CALLER}{below}", body, [("Content-Type", content_type)])


def at_once(*asks: Callable[[], Answer]) -> list[Answer]:
    """The answers to requests that each wait for the others to be ready."""
    barrier = Barrier(len(asks))

    def ask(one: Callable[[], Answer]) -> Answer:
        """One of them."""
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


@pytest.mark.parametrize("way", WAYS)
def test_one_of_the_two_is_refused(server: Server, way: str) -> None:
    """With 10142 the deletion, else with 10143 the other: no binding is left that leads nowhere."""
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
