"""Manifests and approvals over HTTP, and the bundles of delivery processes that need approvals."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.api.delivery.test_bundles import AT, get
from tests.unit.api.delivery.test_bundles import token as delivery_token
from tests.unit.api.delivery.test_processes import follow, report
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Answer, Api, File, verifier

from nightsafe.bundle.approvals.approval import MAX_AHEAD, Approval
from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.bundled import manifest_of
from nightsafe.bundle.approvals.manifest import Manifest
from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.statements import ScriptIdentity
from nightsafe.identity.permissions import APPROVAL
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy
from nightsafe.services.identity.administration import issue_token

ALICE, BOB = ApproverKey.generate(), ApproverKey.generate()
TOKEN = {"type": "secret_text", "name": "TOKEN", "text": "planted"}
PATH = f"{AT}/approvals/worker"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with one script that has a secret."""
    with Api(tmp_path) as made:
        upload(made, b"1")
        yield made


def upload(api: Api, code: bytes) -> None:
    """Upload the script with this code."""
    metadata = {"main_module": "worker.js", "bindings": [TOKEN], "compatibility_date": "2026-01-01"}
    assert 200 == api.upload("worker", metadata, File("worker.js", b"export default %b" % code)).status


def manifest(api: Api, version: str = "") -> Manifest:
    """Return the manifest of a version (default: the newest)."""
    query = f"?version={version}" if version else ""
    return msgspec.convert(api.send("GET", f"{PATH}/manifest{query}").result, Manifest)


def approve(api: Api, key: ApproverKey = ALICE, made_at: int = 0, **members: Any) -> Answer:
    """Approve the newest version."""
    found = manifest(api)
    approval = Approval.sign(found, made_at or time.time_ns() // 1000, key)
    body = {"version": found.version, "approval": msgspec.to_builtins(approval), **members}
    return api.json("POST", PATH, body)


def bundle(api: Api, *keys: ApproverKey, covers: str = "code", since: int = 0) -> Bundle:
    """Return the bundle for a process that accepts these keys."""
    ids = ",".join(key.id for key in keys)
    answer = get(api, f"bundles/worker?approved_by={ids}&covers={covers}&since={since}")
    assert 200 == answer.status
    return open_bundle(answer.body, verifier())


def served(made: Bundle) -> Sequence[int]:
    """Return the numbers of the versions in a bundle."""
    return [version.number for version in made.versions]


def test_approver_and_delivery_compute_the_same_digests(api: Api) -> None:
    """The manifest that an approver gets has the digests of the bundle that the delivery process gets."""
    approve(api)
    delivered = bundle(api, ALICE)
    script = ScriptIdentity(ACCOUNT, "", "worker", delivered.script_id)
    found = manifest_of(script, delivered.versions[0])

    assert found == manifest(api)
    assert found.values_digest() == delivered.approvals[0].values
    assert b"planted" not in api.send("GET", f"{PATH}/manifest").body


def test_a_version_waits_until_it_is_approved(api: Api) -> None:
    """Without an approval a bundle has no versions and names those that wait; other processes get it as ever."""
    waiting = bundle(api, ALICE)
    assert ([], (manifest(api).version,)) == (served(waiting), waiting.waiting)
    assert [1] == served(open_bundle(get(api, "bundles/worker").body, verifier()))

    assert 200 == approve(api, BOB).status
    assert [] == served(bundle(api, ALICE))
    assert {"version": manifest(api).version, "key": ALICE.id} == approve(api).result
    assert ([1], ()) == (served(bundle(api, ALICE)), bundle(api, ALICE).waiting)


def test_the_last_approved_deployment_is_offered(api: Api) -> None:
    """While newer code waits, the bundle has the newest approved deployment, with its own deployment statement."""
    approve(api)
    api.put("worker", TOKEN | {"text": "another"})
    assert [2] == served(bundle(api, ALICE))
    upload(api, b"2")
    upload(api, b"3")
    offered = bundle(api, ALICE)

    assert [2] == served(offered)
    assert (manifest(api).version,) == offered.waiting
    assert offered.deployment is not None
    assert 2 == offered.deployment.newest


def test_values_need_an_approval_where_it_must_cover_them(api: Api) -> None:
    """For an approval that covers values, a version with a new value waits."""
    approve(api)
    api.put("worker", TOKEN | {"text": "another"})
    assert [1] == served(bundle(api, ALICE, covers="values"))
    approve(api)
    assert [2] == served(bundle(api, ALICE, covers="values"))


def test_older_approvals_do_not_count_for_a_process_that_has_seen_newer(api: Api) -> None:
    """With `since`, a bundle has no version whose approval is older."""
    approve(api, made_at=10)
    assert [1] == served(bundle(api, ALICE, since=10))
    assert [] == served(bundle(api, ALICE, since=11))


def test_an_approval_is_in_the_list_and_in_the_log(api: Api) -> None:
    """Approvals are listed newest first; each has an entry in the audit log, which wakes delivery processes."""
    before = api.run(api.store.audit_head(ACCOUNT)).number
    approve(api, made_at=10)
    approve(api, BOB, made_at=20)
    listed = api.send("GET", PATH).result

    assert [BOB.id, ALICE.id] == [one["key"] for one in listed]
    assert [ALICE.id] == [one["key"] for one in api.send("GET", f"{PATH}?keys={ALICE.id},unknown").result]
    assert {manifest(api).version} == {one["version"] for one in listed}
    entries = api.run(api.store.audit_entries(ACCOUNT, before))
    assert ["approvals.create"] * 2 == [msgspec.json.decode(entry.entry)["action"] for _, entry in entries]
    assert ["worker"] * 2 == [msgspec.json.decode(entry.entry)["script"] for _, entry in entries]


def test_approvals_end_with_their_script(api: Api) -> None:
    """A script that is deleted and made again has no approval."""
    approve(api)
    assert 200 == api.send("DELETE", f"{SCRIPTS}/worker").status
    upload(api, b"1")

    assert [] == api.send("GET", PATH).result
    assert [] == served(bundle(api, ALICE))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"signature": bytes(64)}, "has not signed"),
        ({"public": BOB.public}, "has not signed"),
        ({"made_at": -1}, "send an object"),
        ({"code": b""}, "send an object"),
        ({"more": 1}, "send an object"),
    ],
)
def test_a_malformed_approval_is_refused(api: Api, change: dict[str, Any], word: str) -> None:
    """An approval that its key has not signed, or that has other members, is refused with the way out."""
    fields = msgspec.structs.asdict(Approval.sign(manifest(api), 1, ALICE)) | change
    answer = api.json("POST", PATH, {"version": manifest(api).version, "approval": msgspec.to_builtins(fields)})

    assert (400, [10021]) == answer.refusal
    assert word in answer.messages[0]


def test_an_approval_that_is_dated_ahead_is_refused(api: Api) -> None:
    """An approval dated over an hour after the server's time is not kept; the refusal names the clock."""
    now = time.time_ns() // 1000
    answer = approve(api, made_at=now + MAX_AHEAD + 60_000_000)

    assert (400, [10021]) == answer.refusal
    assert "set the clock" in answer.messages[0]
    assert 200 == approve(api, made_at=now + MAX_AHEAD // 2).status


def test_an_approval_of_another_version_is_refused(api: Api) -> None:
    """An approval is kept only for a version that it is about."""
    first = manifest(api).version
    upload(api, b"2")
    answer = approve(api, version=first)

    assert (400, [10021]) == answer.refusal
    assert "look at the version again" in answer.messages[0]
    assert 404 == approve(api, version="11111111-1111-4111-8111-111111111111").status
    assert 400 == approve(api, version="latest").status


@pytest.mark.parametrize(
    "query", ["approved_by=x", "approved_by=&covers=nothing", "approved_by=&since=-1", f"approved_by={'0' * 17}"]
)
def test_a_malformed_wish_is_refused(api: Api, query: str) -> None:
    """A delivery process that names its approvers in a wrong form gets no bundle."""
    assert (400, [10004]) == get(api, f"bundles/worker?{query}").refusal


def test_approving_needs_a_permission_of_its_own(api: Api) -> None:
    """A token for approvals may read scripts and approve, and nothing else; a token for delivery may not approve."""
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    policies = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, APPROVAL)]
    issued = api.run(issue_token(api.store, ACCOUNT, user.id, "approver", policies=policies))
    bearer = (b"authorization", b"Bearer " + issued.token.encode())

    assert 200 == api.send("GET", PATH, b"", [bearer], anonymous=True).status
    assert 400 == api.send("POST", PATH, b"{}", [bearer], anonymous=True).status
    assert 403 == api.send("PUT", f"{SCRIPTS}/worker/secrets", b"{}", [bearer], anonymous=True).status
    assert 403 == api.send("POST", PATH, b"{}", [delivery_token(api)], anonymous=True).status
    assert 403 == get(api, "approvals/worker").status


def test_answers_about_a_waiting_script_say_so(api: Api) -> None:
    """While a process reports a script as waiting, the API's answers about it and the list of processes say so."""
    token, version = delivery_token(api), manifest(api).version
    follow(api, token)
    waiting = {"script": "worker", "versions": [version], "serving": []}
    assert 200 == report(api, token, {"held": [], "waiting": [waiting]}).status

    messages = api.send("GET", f"{SCRIPTS}/worker/deployments").envelope["messages"]
    assert [10706] == [message["code"] for message in messages]
    assert f"approval of version {version}: answering 503" in messages[0]["message"]
    assert [[waiting]] == [process["waiting"] for process in api.send("GET", f"{AT}/processes").result]

    report(api, token, {"held": [], "waiting": [waiting | {"serving": [version]}]})
    (message,) = api.send("GET", f"{SCRIPTS}/worker/deployments").envelope["messages"]
    assert f"serving version {version}" in message["message"]
    report(api, token, {"held": []})
    assert [] == api.send("GET", f"{SCRIPTS}/worker/deployments").envelope["messages"]
    assert 400 == report(api, token, {"held": [], "waiting": [waiting | {"versions": ["x"]}]}).status
