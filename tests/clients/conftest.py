"""A client for raw requests, and a script for each test on the shared server."""

import itertools
from collections.abc import Iterator

import pytest
from tests.clients.wire.talk import Wire
from tests.server import Server

_numbers = itertools.count(1)


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """Yield a client of the shared server with its owner's token."""
    with Wire.to(server) as client:
        yield client


@pytest.fixture
def absent_script() -> str:
    """Return the name of a script that does not exist."""
    return f"script-{next(_numbers)}"


@pytest.fixture
def script(wire: Wire, absent_script: str) -> str:
    """Return the name of a script without bindings."""
    assert wire.upload(absent_script).status == 200
    return absent_script
