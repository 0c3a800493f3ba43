"""Writes that a node could not tell the outcome of, sent again: the first is found out, and nothing is done twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cloudflare import AsyncCloudflare
from tests.postgres.cutting_proxy import Cut, CuttingProxy
from tests.postgres.databases import Databases
from tests.server import ACCOUNT, Server, make_safe

pytestmark = pytest.mark.heavy

_SECRETS: Final = f"/accounts/{ACCOUNT}/workers/scripts/worker/secrets"
_VERSIONS: Final = f"/accounts/{ACCOUNT}/workers/scripts/worker/versions"
_SCRIPT: Final = f"/accounts/{ACCOUNT}/workers/scripts/worker"
_UNKNOWN: Final = (503, 10705)


class Node:
    """A node whose connections to its database pass a proxy.

    Args:
        server: the node.
        proxy: the proxy.
        http: a client with the owner's token.
    """

    def __init__(self, server: Server, proxy: CuttingProxy, http: httpx.AsyncClient) -> None:
        self.server = server
        self.proxy = proxy
        self.http = http

    async def put(self, text: str = "one", name: str = "A") -> tuple[int, int]:
        """Put a secret; return the status and the first error's code."""
        return seen(await self.http.put(_SECRETS, json={"name": name, "text": text, "type": "secret_text"}))

    async def upload(self) -> tuple[int, int]:
        """Upload the script, with a boundary of its own."""
        return seen(await self.http.put(_SCRIPT, files=self.files()))

    def files(self) -> dict[str, Any]:
        """Return the parts of an upload."""
        return {
            "metadata": (None, json.dumps({"main_module": "a.js"}), "application/json"),
            "a.js": ("a.js", b"export default {};", "application/javascript+module"),
        }

    async def versions(self) -> int:
        """Return how many versions the script has."""
        return len((await self.http.get(_VERSIONS)).json()["result"]["items"])

    def cut(self, contained: bytes, cut: Cut = Cut.UNANSWERED) -> None:
        """Lose the next answer to a statement with these bytes, and let no connection to the database begin."""
        self.proxy.arm(cut, contained)
        self.proxy.refuse()

    async def heal_after_an_answer(self) -> None:
        """Let connections begin again as soon as the node has answered that an outcome is unknown."""
        async with asyncio.timeout(30):
            while "outcome_unknown" not in self.server.stderr.read_text():  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
        self.heal()

    def heal(self) -> None:
        """Let connections to the database begin again."""
        self.proxy.refuse(refuses=False)


def seen(answer: httpx.Response) -> tuple[int, int]:
    """Return the status of an answer, and the code of its first error, or 0."""
    errors = answer.json()["errors"]
    return answer.status_code, errors[0]["code"] if errors else 0


@pytest.fixture
async def node(databases: Databases, tmp_path: Path) -> AsyncIterator[Node]:
    """Yield a node that waits a second for a primary, with a script of one version, and one secret."""
    url, proxy = await databases.create_empty(), CuttingProxy("127.0.0.1", databases.server.port)
    safe = await asyncio.to_thread(make_safe, tmp_path, url=url)
    address = safe.path / "store-url"
    through = f":{await proxy.start()}/"
    address.write_text(address.read_text().replace(f":{databases.server.port}/", through))
    server = Server(safe, "--store-patience", "1")
    await asyncio.to_thread(server.start)
    headers = {"Authorization": f"Bearer {safe.api_token}"}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=60) as http:
        node = Node(server, proxy, http)
        assert (200, 0) == await node.upload() == await node.put("zero", "B")
        yield node
    await asyncio.to_thread(server.close)
    await proxy.close()
    await databases.drop(url)


async def test_a_kept_write_sent_again_is_answered_as_done(node: Node) -> None:
    """The same request sent again gets the answer of the first, which was kept; after that, it is a new one."""
    before = await node.versions()
    node.cut(b"secrets.put")
    first = await node.put()
    node.heal()
    again = await node.put()

    assert (_UNKNOWN, (200, 0)) == (first, again)
    assert before + 1 == await node.versions()
    assert (200, 0) == await node.put()
    assert before + 2 == await node.versions()


async def test_a_write_that_was_not_kept_is_made_when_it_is_sent_again(node: Node) -> None:
    """A request whose statement never reached the server is made once, when it is sent again."""
    before = await node.versions()
    node.cut(b"secrets.put", Cut.BEFORE)
    first = await node.put()
    unmade = await node.versions()
    node.heal()

    assert (_UNKNOWN, (200, 0)) == (first, await node.put())
    assert (before, before + 1) == (unmade, await node.versions())


async def test_another_request_is_made_by_itself(node: Node) -> None:
    """A request with another value or name is not the same, and after such a one the same request is made again."""
    before = await node.versions()
    node.cut(b"secrets.put")
    await node.put("one")
    node.heal()

    assert (200, 0) == await node.put("two") == await node.put("one", "C")
    assert before + 3 == await node.versions()
    assert (200, 0) == await node.put("one")
    assert before + 4 == await node.versions()


async def test_a_secret_that_was_deleted_meanwhile_is_put_again(node: Node) -> None:
    """A put whose first try was kept, and whose secret somebody has deleted since, makes the secret again."""
    node.cut(b"secrets.put")
    first = await node.put()
    node.heal()
    assert 200 == (await node.http.delete(f"{_SECRETS}/A")).status_code

    assert (_UNKNOWN, (200, 0)) == (first, await node.put())
    assert 200 == (await node.http.get(f"{_SECRETS}/A")).status_code


async def test_a_kept_upload_is_never_told_to_be_absent(node: Node) -> None:
    """A version whose request finds no primary after its commit is answered with 10705, and not made twice."""
    before = await node.versions()
    node.proxy.arm(Cut.AFTER, b"versions.upload")
    node.proxy.end_others_when_it_cuts()
    first = seen(await node.http.post(_VERSIONS, files=node.files()))
    node.heal()
    again = seen(await node.http.post(_VERSIONS, files=node.files()))

    assert (_UNKNOWN, (200, 0)) == (first, again)
    assert before + 1 == await node.versions()


async def test_a_repeated_request_says_so_while_the_outcome_is_unknown(node: Node) -> None:
    """While no primary answers, the same request sent again is answered that its outcome is unknown, and waits."""
    before = await node.versions()
    node.cut(b"secrets.put")
    first = await node.put()
    again = asyncio.ensure_future(node.put())
    await asyncio.sleep(1)
    assert not again.done()
    node.heal()

    assert (_UNKNOWN, (200, 0)) == (first, await again)
    assert before + 1 == await node.versions()


async def test_an_official_client_sees_nothing_of_it(node: Node) -> None:
    """The official SDK, which repeats a request by itself after a 503, makes one version."""
    before = await node.versions()
    async with AsyncCloudflare(base_url=node.server.base_url, api_token=node.server.safe.api_token) as client:
        put = client.workers.scripts.secrets.update
        node.cut(b"secrets.put")
        healing = asyncio.create_task(node.heal_after_an_answer())
        await put("worker", account_id=ACCOUNT, name="A", text="one", type="secret_text")

    await healing
    assert before + 1 == await node.versions()


async def test_an_upload_with_another_boundary_is_the_same(node: Node) -> None:
    """A form sent again is the same request although its client separates the parts by another boundary."""
    before = await node.versions()
    node.cut(b"scripts.upload")
    first = await node.upload()
    node.heal()

    assert (_UNKNOWN, (200, 0)) == (first, await node.upload())
    assert before + 1 == await node.versions()


async def test_a_token_made_by_a_lost_request_works(node: Node) -> None:
    """The same request for a token sent again answers with the value of the token that the first has made."""
    groups = (await node.http.get(f"/accounts/{ACCOUNT}/tokens/permission_groups")).json()["result"]
    scope = {f"com.cloudflare.api.account.{ACCOUNT}": "*"}
    policy = {
        "effect": "allow",
        "resources": scope,
        "permission_groups": [{"id": group["id"]} for group in groups if group["name"] == "Workers Scripts Read"],
    }
    body: dict[str, Any] = {"name": "made once", "policies": [policy]}
    node.cut(b"COMMIT\0")
    first = await node.http.post(f"/accounts/{ACCOUNT}/tokens", json=body)
    node.heal()
    again = await node.http.post(f"/accounts/{ACCOUNT}/tokens", json=body)

    listed = (await node.http.get(f"/accounts/{ACCOUNT}/tokens")).json()["result"]
    reader = {"Authorization": f"Bearer {again.json()['result']['value']}"}
    assert _UNKNOWN == seen(first)
    assert 1 == sum(token["name"] == "made once" for token in listed)
    assert 200 == (await node.http.get(_VERSIONS, headers=reader)).status_code


async def test_a_revoked_token_gets_no_answer_of_before(node: Node) -> None:
    """The same request sent again by a token that was revoked meanwhile is refused."""
    groups = (await node.http.get(f"/accounts/{ACCOUNT}/tokens/permission_groups")).json()["result"]
    policy = {
        "effect": "allow",
        "resources": {f"com.cloudflare.api.account.{ACCOUNT}": "*"},
        "permission_groups": [{"id": group["id"]} for group in groups if group["name"] == "Workers Scripts Write"],
    }
    body: dict[str, Any] = {"name": "revoked", "policies": [policy]}
    made = (await node.http.post(f"/accounts/{ACCOUNT}/tokens", json=body)).json()["result"]
    owner, node.http.headers["Authorization"] = node.http.headers["Authorization"], f"Bearer {made['value']}"
    node.cut(b"secrets.put")
    first = await node.put()
    node.heal()
    node.http.headers["Authorization"] = owner
    await node.http.delete(f"/accounts/{ACCOUNT}/tokens/{made['id']}")
    node.http.headers["Authorization"] = f"Bearer {made['value']}"

    assert _UNKNOWN == first
    assert 403 == (await node.put())[0]


async def test_a_node_with_an_unknown_write_stops(node: Node) -> None:
    """A node stops in time although it does not know yet what became of a write."""
    node.cut(b"secrets.put")
    assert _UNKNOWN == await node.put()

    async with asyncio.timeout(15):
        assert 0 == await asyncio.to_thread(node.server.stop)
