"""Versions, their content, and the search for scripts, through the SDK.

Release 5.9.0 of the SDK cannot build the model of a version from any answer, so these tests read raw responses.
"""

import io
from typing import Any

import pytest
from cloudflare import BadRequestError, NotFoundError
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT

CODE = b"export default {};"
MODULE = ("worker.js", CODE, "application/javascript+module")
NOTE = ("note.txt", b"a note", "text/plain")


async def version(client: Any, script: str, *bindings: object, **metadata: object) -> Any:
    """Create a version of an existing script."""
    described = {"main_module": "worker.js", "bindings": bindings, **metadata}
    raw = client.workers.scripts.versions.with_raw_response
    return await result(raw.create(script, account_id=ACCOUNT, metadata=described, files=[MODULE, NOTE]))


async def result(call: Any) -> Any:
    """Return the member `result` of a raw response."""
    return (await settled((await settled(call)).json()))["result"]


async def upload(client: Any, script: str) -> None:
    """Create a script with one secret."""
    described = {"main_module": "worker.js", "bindings": [{"type": "secret_text", "name": "S", "text": "x"}]}
    await settled(client.workers.scripts.update(script, account_id=ACCOUNT, metadata=described, files=[MODULE]))


async def test_versions_are_created_and_listed(either: Any, absent_script: str) -> None:
    """A version is created without a deployment, read, and listed newest first in every page size."""
    await upload(either, absent_script)
    versions = either.workers.scripts.versions

    made = await version(
        either,
        absent_script,
        {"type": "plain_text", "name": "P", "text": "shown"},
        compatibility_date="2026-01-01",
        annotations={"workers/message": "why"},
    )
    for at in range(10):
        await version(either, absent_script, annotations={"workers/tag": f"v{at}"})
    listed = await gathered(versions.list(absent_script, account_id=ACCOUNT))
    got = await result(versions.with_raw_response.get(made["id"], account_id=ACCOUNT, script_name=absent_script))

    assert [*range(12, 0, -1)] == [listed_version.number for listed_version in listed]
    assert (listed[-2].id, 2, 0) == (made["id"], made["number"], made.pop("startup_time_ms"))
    assert made == got
    assert "2026-01-01" == got["resources"]["script_runtime"]["compatibility_date"]
    assert ["P", "S"] == [binding["name"] for binding in got["resources"]["bindings"]]
    assert "why" == got["annotations"]["workers/message"]
    assert 12 == len(await gathered(versions.list(absent_script, account_id=ACCOUNT, per_page=5)))


async def test_invalid_versions_have_codes(either: Any, absent_script: str) -> None:
    """A missing script, a missing version and a missing inherited binding each give their own code."""
    versions = either.workers.scripts.versions
    with pytest.raises(NotFoundError) as absent:
        await version(either, absent_script)
    assert [10007] == [error.code for error in absent.value.errors]
    await upload(either, absent_script)
    with pytest.raises(NotFoundError) as unknown:
        await settled(
            versions.get("00000000-0000-4000-8000-000000000000", account_id=ACCOUNT, script_name=absent_script)
        )
    assert [100146] == [error.code for error in unknown.value.errors]
    with pytest.raises(BadRequestError) as inherit:
        await settled(
            versions.create(
                absent_script,
                account_id=ACCOUNT,
                metadata={"main_module": "worker.js", "bindings": [{"type": "inherit", "name": "NONE"}]},
                files=[MODULE],
                bindings_inherit="strict",
            )
        )
    assert [10057] == [error.code for error in inherit.value.errors]


async def test_new_content_keeps_secrets(either: Any, absent_script: str) -> None:
    """A new content keeps the secrets and is returned unchanged."""
    await upload(either, absent_script)
    content = either.workers.scripts.content

    shown = await settled(
        content.update(
            absent_script,
            account_id=ACCOUNT,
            metadata={"main_module": "new.js"},
            files=[("new.js", io.BytesIO(b"export default 1;"), "application/javascript+module")],
        )
    )
    read = await settled(content.get(absent_script, account_id=ACCOUNT))

    assert absent_script == shown.id
    assert "new.js" == read.headers["cf-entrypoint"]
    assert b"\r\n\r\nexport default 1;\r\n" in await settled(read.read())
    secrets = await gathered(either.workers.scripts.secrets.list(absent_script, account_id=ACCOUNT))
    assert ["S"] == [secret.name for secret in secrets]


async def test_a_script_is_found_by_name_and_id(either: Any, absent_script: str) -> None:
    """A script is found by its name and by its id."""
    await upload(either, absent_script)

    by_name = await settled(either.workers.scripts.search(account_id=ACCOUNT, name=absent_script))
    by_id = await settled(either.workers.scripts.search(account_id=ACCOUNT, id=by_name[0].id))

    assert [absent_script] == [found.script_name for found in by_name] == [found.script_name for found in by_id]
