"""Attacks with request bodies: too long, too deep, too slow, ambiguous, and with keys that are costly to check."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from tests.unit.api.identity.test_access_table import routes
from tests.unit.api.tools.driver import ACCOUNT, BOUNDARY, JSON, Api, Headers, form_type, secrets_of
from tests.unit.webcrypto.test_cost import CASES

from nightsafe.services.limits import Limits

LIMIT = 3000
LIMITS = Limits(max_body_bytes=LIMIT, max_upload_bytes=LIMIT, max_metadata_bytes=LIMIT)
KINDS: dict[str, tuple[Headers, bytes]] = {
    "JSON": ([JSON], b"{"),
    "a form": ([form_type()], b'--%b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' % BOUNDARY.encode()),
}
"""The content type and the first bytes of each kind of body."""

WRITES = {"PUT", "POST", "PATCH"}


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with narrow limits, a script and a dispatch namespace, both named `worker`."""
    with Api(tmp_path, LIMITS) as api:
        assert api.upload("worker").status == 200
        namespaces = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"
        assert api.json("POST", namespaces, {"name": "worker"}).status == 200
        yield api


def writes(api: Api) -> Iterator[tuple[str, str]]:
    """Yield the method and the path of each route that may have a body."""
    for route in routes(api):
        if route.method in WRITES:
            yield route.method, re.sub(r"{[^}]*}", "worker", route.path.replace("{account_id}", ACCOUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_are_bounded(tight: Api, kind: str) -> None:
    """Bodies are bounded in size, depth and time.

    Every route answers 413 to a body that is too long and 408 to a body that does not arrive, unless it answers
    without reading the body.
    """
    headers, begin = KINDS[kind]
    long = [tight.send(*route, [begin, *[b" " * 1000] * 4], headers).status for route in writes(tight)]
    tight.restart(replace(LIMITS, body_seconds=0.01))
    silent = [tight.send(*route, begin, headers, silent=True).status for route in writes(tight)]
    ends = Counter(zip(long, silent, strict=True))

    assert ends.pop((413, 408)) > {"JSON": 30, "a form": 8}[kind]
    assert {(status, status) for status in (400, 403, 404)} >= ends.keys()


def test_depth_is_bounded(tight: Api) -> None:
    """Bodies are bounded in size, depth and time.

    Every route reads 32 levels and refuses 33.
    """
    told = [
        tuple(tight.send(method, path, b"[" * depth + b"]" * depth, [JSON]).messages for depth in (32, 33))
        for method, path in writes(tight)
    ]
    deeper = [(less, more) for less, more in told if less != more]

    assert len(deeper) > 30
    assert all("deep" in " ".join(more) for _, more in deeper)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"A","type":"secret_text","text":"x","text":"y"}',
        b'{"name":"A","type":"secret_text","text":"x",}',
        b'{"name":"A","type":"secret_text","text":"x"} {}',
        b'{"name":"A","type":"secret_text","text":\'x\'}',
        b'{"name":"A","type":"secret_text","text":"x"}//',
        b'\xef\xbb\xbf{"name":"A","type":"secret_text","text":"x"}',
        b'{"name":"A","type":"secret_text","text":"\xff"}',
        b'{"name":"A","type":"secret_text","text":"\xed\xa0\x80"}',
        b'{"name":"A","type":"secret_text","text":"\\ud800"}',
        b'{"name":"A","type":"secret_text","text":"a\nb"}',
        b'{"name":"A","type":"secret_text","text":NaN}',
        b'{"name":"A","type":"secret_text","text":1}',
        b'{"name":"A","type":"secret_text","text":["x"]}',
        b'[{"name":"A","type":"secret_text","text":"x"}]',
        '{"name":"A","type":"secret_text","text":"x"}'.encode("utf-16"),
        b"",
    ],
)
def test_bodies_are_parsed_strictly(tight: Api, body: bytes) -> None:
    """Bodies are parsed strictly.

    A body that two parsers could read differently, or that has another type, is refused and changes nothing.
    """
    answer = tight.send("PUT", secrets_of("worker"), body, [JSON])

    assert 400 == answer.status
    assert [] == tight.send("GET", secrets_of("worker")).result


@pytest.mark.parametrize("case", ["RSA-4096: pkcs8", "RSA-4096: spki", "RSA-4096: jwk"])
def test_no_primes_are_tested(own_api: Api, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """RSA keys are checked without primality tests, which would stall other requests.

    The server never lets the library load the key, because loading tests its primes.
    """

    def forbidden(*_: object, **__: object) -> NoReturn:
        """Fail the test."""
        raise AssertionError

    for owner, name in (
        (serialization, "load_der_private_key"),
        (serialization, "load_der_public_key"),
        (rsa.RSAPrivateNumbers, "private_key"),
        (rsa.RSAPublicNumbers, "public_key"),
    ):
        monkeypatch.setattr(owner, name, forbidden, raising=True)
    assert own_api.upload("worker").status == 200
    key = {"type": "secret_key", "name": "K", **CASES[case]}

    assert 200 == own_api.put("worker", json.loads(json.dumps(key)) | {"name": "K"}).status
