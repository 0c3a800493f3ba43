"""Bundles, modules and the change feed, as the delivery process reads them."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, Exchange, File, scope_of, verifier

from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.services.identity.administration import issue_token

AT = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
DELIVERY = "6e6967687473616665206465c16976e1"
TOKEN = {"type": "secret_text", "name": "TOKEN", "text": "planted"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with one script that has a secret."""
    with Api(tmp_path) as made:
        made.upload("worker", {"main_module": "worker.js", "bindings": [TOKEN], "compatibility_date": "2026-01-01"})
        yield made


def token(api: Api) -> tuple[bytes, bytes]:
    """Return the header of a token that may deliver."""
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    policies = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, DELIVERY)]
    issued = api.run(issue_token(api.store, ACCOUNT, user.id, "delivery", policies=policies))
    return b"authorization", b"Bearer " + issued.token.encode()


def get(api: Api, rest: str) -> Answer:
    """Send a GET request as the delivery process does."""
    return api.send("GET", f"{AT}/{rest}", b"", [token(api)], anonymous=True)


def bundle_of(api: Api, script: str) -> Bundle:
    """Return a script's bundle, with its signature checked."""
    answer = get(api, f"bundles/{script}")
    assert b"application/octet-stream" == answer.header(b"content-type")
    return open_bundle(answer.body, verifier())


def head_of(api: Api) -> int:
    """Return the number of the account's latest log entry."""
    return api.run(api.store.audit_head(ACCOUNT)).number


def test_a_bundle_has_the_deployed_versions(api: Api) -> None:
    """A bundle has the script's deployed versions, is signed, stated and numbered, and its secrets are sealed."""
    head = head_of(api) + 1  # making a token is an entry
    bundle = bundle_of(api, "worker")
    [version] = bundle.versions
    [module], [binding] = version.modules, version.bindings

    assert (ACCOUNT, "", "worker", head) == (bundle.account_id, bundle.namespace, bundle.script, bundle.serial)
    assert ("worker.js", False, "2026-01-01", ()) == (
        version.main_module,
        version.classic,
        version.compatibility_date,
        version.compatibility_flags,
    )
    assert (100.0, hashlib.sha256(b"export default {}").digest()) == (version.percentage, module.digest)
    assert ("TOKEN", "secret_text") == (binding.name, binding.kind)
    assert {"name": "TOKEN", "type": "secret_text"} == json.loads(bytes(binding.shown))
    assert binding.record is not None
    assert b"planted" not in binding.record
    assert (1, version.number) == (binding.since, ProvenRecord.parse(binding.record).since)
    check_stated(bundle, verifier())


def test_a_bundle_marks_a_classic_script_and_its_tag(api: Api) -> None:
    """The bundle of a classic script says so, and has its version's tag and flags."""
    metadata = {
        "body_part": "script",
        "compatibility_flags": ["nodejs_compat"],
        "annotations": {"workers/tag": "v1", "workers/message": "hello"},
    }
    api.upload("classic", metadata, File("script", b"addEventListener()", "application/javascript"))
    [version] = bundle_of(api, "classic").versions

    assert ("script", True, "v1", ("nodejs_compat",)) == (
        version.main_module,
        version.classic,
        version.tag,
        version.compatibility_flags,
    )
    assert version.created_on.endswith("Z")


def test_a_missing_script_has_an_empty_bundle(api: Api) -> None:
    """A missing or deleted script has a signed bundle without versions, which is numbered after earlier ones."""
    absent = bundle_of(api, "absent")
    api.send("DELETE", f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker")
    deleted = bundle_of(api, "worker")

    assert ((), ()) == (absent.versions, deleted.versions)
    assert absent.serial < deleted.serial


def test_modules_are_sent_by_digest(api: Api) -> None:
    """A module is sent byte for byte; an unknown or malformed digest gets 404."""
    body = b"export default {}"
    digest = hashlib.sha256(body).hexdigest()

    assert body == get(api, f"modules/{digest}").body
    for wrong in ("0" * 64, digest[:-1], digest.upper(), "x"):
        assert (404, [7003]) == get(api, f"modules/{wrong}").refusal


def test_the_change_feed_lists_changed_scripts(api: Api) -> None:
    """The feed lists all scripts at first, then changed ones, and does not wait if there are changes."""
    first = get(api, "changes").result
    api.put("worker", TOKEN)
    second = get(api, f"changes?after={first['cursor']}").result
    third = get(api, f"changes?after={second['cursor']}&wait=0").result

    assert (["worker"], True, False) == (first["scripts"], first["whole"], first["rolled_back"])
    assert (["worker"], False, False) == (second["scripts"], second["whole"], second["rolled_back"])
    assert ([], False, False) == (third["scripts"], third["whole"], third["rolled_back"])
    number, _, leaf = third["cursor"].partition("-")
    assert (head_of(api), 16) == (int(number), len(leaf))


def test_a_cursor_of_another_log_reports_a_rollback(api: Api) -> None:
    """A cursor of another log gets all scripts and the news that the database was restored."""
    changes = get(api, "changes?after=999999-0123456789abcdef").result

    assert (["worker"], True, True) == (changes["scripts"], changes["whole"], changes["rolled_back"])


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("after=x", "after"),
        ("after=1-XY", "after"),
        ("after=01-aa", "after"),
        (f"after={'9' * 19}-aa", "after"),
        ("wait=-1", "wait"),
        ("wait=1e9", "wait"),
        ("wait=", "wait"),
        ("process=", "process"),
        ("process=a%20b", "process"),
        (f"process={'a' * 65}", "process"),
    ],
)
def test_invalid_feed_parameters_are_refused(api: Api, query: str, parameter: str) -> None:
    """The refusal names the parameter."""
    answer = get(api, f"changes?{query}")

    assert (400, [10004]) == answer.refusal
    assert [f"The parameter '{parameter}' is malformed"] == answer.messages


def test_a_write_is_answered_after_its_delivery(api: Api) -> None:
    """A write is answered only after the next request of the following delivery process."""

    async def events_in_order() -> list[str]:
        """Return the events in their order."""
        events: list[str] = []
        cursor = (await ask("changes?process=p")).result["cursor"]
        polling = asyncio.create_task(ask(f"changes?process=p&after={cursor}"))
        await asyncio.sleep(0)
        writing = asyncio.create_task(put())
        writing.add_done_callback(lambda _: events.append("answered"))
        changes = (await polling).result
        events.append("told")
        for _ in range(50):
            await asyncio.sleep(0)
        events.append("acted")
        again = asyncio.create_task(ask(f"changes?process=p&after={changes['cursor']}"))
        assert 200 == (await writing).status
        again.cancel()
        return events

    credentials = token(api)

    async def ask(rest: str) -> Answer:
        """Send a request of the delivery process; the client stays connected."""
        return await exchanged(api, "GET", f"{AT}/{rest}", [credentials])

    async def put() -> Answer:
        """Send a write of the owner."""
        target = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets"
        return await exchanged(api, "PUT", target, [api.bearer], json.dumps(TOKEN).encode())

    assert ["told", "acted", "answered"] == api.run(events_in_order())


async def exchanged(api: Api, method: str, target: str, headers: Any, body: bytes = b"") -> Answer:
    """Send a request whose client stays connected; return the answer."""
    exchange = Exchange(scope_of(method, target, headers), [body])
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        """Return the body, then wait for ever."""
        if not exchange._messages:
            await ended.wait()
        return await exchange.receive()

    await api.app(exchange.scope, receive, exchange.send)
    assert exchange.answer is not None
    return exchange.answer


def test_a_feed_client_that_hangs_up_is_removed(api: Api) -> None:
    """A client that hangs up is removed from the feed, so no write waits for it."""
    cursor = get(api, "changes?process=x").result["cursor"]
    before = len(api.app._change_feed._subscribers[ACCOUNT])
    answer = api.send("GET", f"{AT}/changes?after={cursor}&process=y", b"", [token(api)], anonymous=True)

    assert (400, [10026]) == answer.refusal
    assert before == len(api.app._change_feed._subscribers[ACCOUNT])
