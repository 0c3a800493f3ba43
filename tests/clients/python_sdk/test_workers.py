"""`client.workers.beta.workers`: a Worker as one object, and its versions in JSON."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare, NotFoundError
from tests.clients.python_sdk.tools.workers import codes, deployments, every, fields, plain, secret, upload
from tests.clients.stored_values import opened, opened_held
from tests.server import ACCOUNT, Server

from nightsafe.store.collections import Kind

CODE = b"export default { fetch() {} };"
FILE: Any = {
    "name": "worker.js",
    "content_type": "application/javascript+module",
    "content_base64": base64.b64encode(CODE).decode(),
}


def test_a_worker_is_edited_replaced_and_deleted(server: Server, client: Cloudflare, absent_script: str) -> None:
    """`get` works by name and id, `edit` changes named settings, `update` replaces all, `delete` removes it."""
    upload(client, absent_script, secret("S", "one"))
    workers = client.workers.beta.workers
    body: Any = {
        "logpush": True,
        "observability": {"enabled": True, "head_sampling_rate": 0.25},
        "subdomain": {"enabled": True, "previews_enabled": True},
        "tags": ["a"],
        "tail_consumers": [{"name": "consumer"}],
    }
    before = workers.get(absent_script, account_id=ACCOUNT)

    base: Any = {"env": {"P": plain("P", "shown"), "S": secret("S", "of previews")}}
    edited = workers.edit(before.id, account_id=ACCOUNT, name=absent_script, **body, previews_base_config=base)

    now = fields(edited)
    assert body == {name: now[name] for name in body}
    assert {"P": {"type": "plain_text", "text": "shown"}, "S": {"type": "secret_text"}} == now[
        "previews_base_config"
    ]["env"]
    assert {"S": "of previews"} == opened_held(server.safe, Kind.SCRIPT, absent_script)
    assert {"S": "one"} == opened(server.safe, absent_script)
    assert fields(workers.get(before.id, account_id=ACCOUNT)) == now
    assert [now] == [
        worker
        for worker in fields(every(workers.list(account_id=ACCOUNT, per_page=100)))
        if worker["name"] == absent_script
    ]

    reset = fields(workers.update(absent_script, account_id=ACCOUNT, name=absent_script, tags=["b"]))
    assert (False, ["b"], [], {"enabled": False, "previews_enabled": False}) == tuple(
        reset[name] for name in ("logpush", "tags", "tail_consumers", "subdomain")
    )
    assert now["previews_base_config"] == reset["previews_base_config"]

    assert workers.delete(before.id, account_id=ACCOUNT).success
    with pytest.raises(NotFoundError) as gone:
        workers.get(absent_script, account_id=ACCOUNT)
    assert (404, [10007]) == codes(gone.value)


def test_versions_are_created_in_json(server: Server, client: Cloudflare, absent_script: str) -> None:
    """A version can be created with or without a deployment, read with its files, and listed."""
    upload(client, absent_script, secret("S", "one"))
    versions = client.workers.beta.workers.versions
    new: Any = {"account_id": ACCOUNT, "main_module": "worker.js", "modules": [FILE]}

    made = versions.create(
        absent_script,
        **new,
        bindings=[{"type": "secret_text", "name": "T", "text": "two"}],
        compatibility_date="2026-01-01",
        annotations={"workers_message": "why"},
    )
    assert [1, 2] == sorted(
        version.number for version in every(versions.list(absent_script, account_id=ACCOUNT, per_page=1))
    )
    assert 1 == len(deployments(client, absent_script))
    served = versions.create(absent_script, **new, deploy=True)

    got = versions.get(made.id, account_id=ACCOUNT, worker_id=absent_script, include="modules")
    version_fields = {name: value for name, value in fields(got).items() if name != "modules"}
    assert fields(made) == version_fields
    assert [FILE] == fields(got)["modules"]
    assert ("2026-01-01", "why") == (
        version_fields["compatibility_date"],
        version_fields["annotations"]["workers/message"],
    )
    assert [{"name": name, "type": "secret_text"} for name in "ST"] == version_fields["bindings"]
    assert {"S": "one", "T": "two"} == opened(server.safe, absent_script) == opened(server.safe, absent_script, "", 2)
    assert [{"version_id": served.id, "percentage": 100}] == deployments(client, absent_script)[0]["versions"]
    assert served.id == versions.get("latest", account_id=ACCOUNT, worker_id=absent_script).id


def test_a_patch_of_the_newest_version_is_not_deployed(
    server: Server, client: Cloudflare, absent_script: str
) -> None:
    """`versions/latest`, which has no method in the SDK, creates an undeployed version with other secrets."""
    upload(client, absent_script, secret("S", "one"), secret("GONE", "x"), plain("P", "shown"))
    env = {"S": {"type": "secret_text", "text": "two"}, "GONE": None}
    path = f"/accounts/{ACCOUNT}/workers/workers/{absent_script}/versions/latest"
    header = {"Content-Type": "application/merge-patch+json"}

    client.patch(path, cast_to=object, body={"env": env}, options={"headers": header})

    assert {"S": "two"} == opened(server.safe, absent_script)
    assert {"S": "one", "GONE": "x"} == opened(server.safe, absent_script, version=1)
    assert 1 == len(deployments(client, absent_script))


def test_unsupported_calls_for_workers_are_refused(client: Cloudflare, absent_script: str) -> None:
    """A Worker without code, a new name, and the deletion of a version are refused by name."""
    upload(client, absent_script)
    workers = client.workers.beta.workers
    [version] = every(workers.versions.list(absent_script, account_id=ACCOUNT))
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("Workers without code", lambda: workers.create(account_id=ACCOUNT, name=f"{absent_script}-2")),
        ("rename Workers", lambda: workers.update(absent_script, account_id=ACCOUNT, name=f"{absent_script}-2")),
        (
            "delete versions",
            lambda: workers.versions.delete(version.id, account_id=ACCOUNT, worker_id=absent_script),
        ),
    ]
    for what, call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [10015]) == codes(raised.value)
        assert f"Nightsafe does not {what}" in str(raised.value.errors[0].message).replace("keep ", "")
    assert [version] == every(workers.versions.list(absent_script, account_id=ACCOUNT))
