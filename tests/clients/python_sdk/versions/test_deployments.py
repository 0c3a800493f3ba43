"""Deployments and rollbacks through the SDK."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare, NotFoundError
from tests.clients.python_sdk.tools.workers import (
    add_version,
    codes,
    deployments,
    every,
    fields,
    plain,
    secret,
    serve,
    upload,
)
from tests.clients.stored_values import opened
from tests.server import ACCOUNT, Server

NO_ID = "00000000-0000-4000-8000-000000000000"


def version_ids(client: Cloudflare, script: str) -> list[str]:
    """Return the ids of a script's versions, oldest first."""
    return [version.id for version in every(client.workers.scripts.versions.list(script, account_id=ACCOUNT))][::-1]


def put(client: Cloudflare, script: str, name: str, text: str) -> Any:
    """Put a secret text."""
    secrets = client.workers.scripts.secrets
    return secrets.update(script, account_id=ACCOUNT, name=name, text=text, type="secret_text")


def test_a_rollback_restores_secrets(server: Server, client: Cloudflare, absent_script: str) -> None:
    """A rollback over changed secrets needs force; secrets are then read-only until the newest version is back."""
    upload(client, absent_script, secret("S", "one"))
    put(client, absent_script, "S", "two")
    put(client, absent_script, "T", "three")
    first, _, third = version_ids(client, absent_script)

    with pytest.raises(BadRequestError) as changed:
        serve(client, absent_script, (first, 100))
    back = serve(client, absent_script, (first, 100), force=True, annotations={"workers_message": "go back"})

    assert (400, [10220]) == codes(changed.value)
    assert str(changed.value.errors[0].message).endswith("The following secrets have changed: S, T")
    assert {"workers/message": "go back", "workers/triggered_by": "rollback"} == fields(back)["annotations"]
    assert {"S": "one"} == opened(server.safe, absent_script, version=1)
    with pytest.raises(BadRequestError) as undeployed:
        put(client, absent_script, "S", "four")
    assert (400, [10215]) == codes(undeployed.value)

    serve(client, absent_script, (third, 100))
    put(client, absent_script, "S", "four")
    assert {"S": "four", "T": "three"} == opened(server.safe, absent_script)
    assert {"S": "two", "T": "three"} == opened(server.safe, absent_script, version=3)


def test_split_traffic_blocks_writes_of_secrets(client: Cloudflare, absent_script: str) -> None:
    """Two versions share the traffic; meanwhile calls that write secrets or settings are refused."""
    upload(client, absent_script, secret("S", "one"))
    second = add_version(client, absent_script, plain("P", "x"))["id"]
    first = version_ids(client, absent_script)[0]
    scripts = client.workers.scripts
    at: Any = {"script_name": absent_script, "account_id": ACCOUNT}

    made = serve(client, absent_script, (second, 12.5), (first, 87.5))

    assert [(second, 12.5), (first, 87.5)] == [(version.version_id, version.percentage) for version in made.versions]
    calls: list[tuple[int, Callable[[], Any]]] = [
        (10215, lambda: put(client, absent_script, "S", "x")),
        (10215, lambda: scripts.secrets.delete("S", **at)),
        (10215, lambda: scripts.secrets.bulk_update(**at, secrets={"S": None})),
        (10214, lambda: scripts.script_and_version_settings.edit(**at, settings={"compatibility_flags": ["x"]})),
    ]
    for code, call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [code]) == codes(raised.value)
    assert [first, second] == version_ids(client, absent_script)


def test_deployments_are_listed_and_read(client: Cloudflare, absent_script: str) -> None:
    """Deployments are listed newest first in pages that end, and can be read one by one; none can be deleted."""
    upload(client, absent_script)
    for number in range(4):
        put(client, absent_script, "S", f"value {number}")
    serve(client, absent_script, (version_ids(client, absent_script)[-1], 100))
    at = client.workers.scripts.deployments

    listed = deployments(client, absent_script, per_page=4)

    triggers = [deployment["annotations"]["workers/triggered_by"] for deployment in listed]
    assert ["deployment", *["secret"] * 4, "upload"] == triggers
    times = [deployment["created_on"] for deployment in listed]
    assert times == sorted(times, reverse=True)
    for deployment in listed:
        assert deployment == fields(at.get(deployment["id"], account_id=ACCOUNT, script_name=absent_script))
    for code, deployment in ((10210, listed[0]), (10015, listed[-1])):
        with pytest.raises(BadRequestError) as raised:
            at.delete(deployment["id"], account_id=ACCOUNT, script_name=absent_script)
        assert (400, [code]) == codes(raised.value)
    second = dt.datetime.fromisoformat(listed[-2]["created_on"])
    assert listed[-2:] == deployments(client, absent_script, until=second)
    assert listed[:-1] == deployments(client, absent_script, since=second)
    assert listed == deployments(client, absent_script)


def test_invalid_deployments_are_refused(client: Cloudflare, absent_script: str) -> None:
    """Each invalid deployment gives 10210 with a pointer, and the current deployment stays."""
    upload(client, absent_script)
    second = add_version(client, absent_script)["id"]
    [served] = deployments(client, absent_script)
    first = served["versions"][0]["version_id"]
    for shares, pointer in (
        ([], "/versions"),
        ([(first, 50)], "/versions"),
        ([(first, 60), (second, 60)], "/versions"),
        ([(first, 50), (first, 50)], "/versions/1/version_id"),
        ([(NO_ID, 100)], "/versions"),
        ([("none", 100)], "/versions/0/version_id"),
        ([(first, 40), (second, 30), (NO_ID, 30)], "/versions"),
    ):
        with pytest.raises(BadRequestError) as raised:
            serve(client, absent_script, *shares)
        assert (400, [10210]) == codes(raised.value)
        assert raised.value.errors[0].source is not None
        assert pointer == raised.value.errors[0].source.pointer
    with pytest.raises(NotFoundError) as unknown:
        client.workers.scripts.deployments.get(NO_ID, account_id=ACCOUNT, script_name=absent_script)
    with pytest.raises(NotFoundError) as absent:
        serve(client, "not-there", (first, 100))

    assert (404, [10336]) == codes(unknown.value)
    assert (404, [10007]) == codes(absent.value)
    assert [served] == deployments(client, absent_script)
