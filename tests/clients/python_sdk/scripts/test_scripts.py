"""Scripts through the SDK, with their secrets, settings and content."""

from email import message_from_bytes
from typing import Any

import pytest
from cloudflare import APIStatusError, BadRequestError, NotFoundError
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT

MODULE = ("worker.js", b"export default {};", "application/javascript+module")
VARIABLES = [{"type": "plain_text", "name": "VAR", "text": "shown"}, {"type": "json", "name": "JSON", "json": [1]}]


async def upload(client: Any, script: str, *bindings: object, **metadata: object) -> Any:
    """Upload a small script."""
    described = {"main_module": "worker.js", "compatibility_date": "2026-04-01", "bindings": bindings, **metadata}
    return await settled(
        client.workers.scripts.update(script, account_id=ACCOUNT, metadata=described, files=[MODULE])
    )


async def names(client: Any, script: str) -> list[str]:
    """Return the names of a script's secrets."""
    return [secret.name for secret in await gathered(client.workers.scripts.secrets.list(script, account_id=ACCOUNT))]


async def test_a_script_is_uploaded_read_and_deleted(either: Any, absent_script: str) -> None:
    """Upload, content, list and delete work; the etag depends on the code."""
    scripts = either.workers.scripts
    made = await upload(either, absent_script)
    again = await upload(either, absent_script)
    other = await settled(
        scripts.update(
            absent_script,
            account_id=ACCOUNT,
            metadata={"main_module": "worker.js"},
            files=[MODULE, ("more.js", b"export const x = 1;", "application/javascript+module")],
        )
    )

    assert made.id == absent_script
    assert (made.etag, made.startup_time_ms) == (again.etag, 0)
    assert made.etag != other.etag
    assert made.modified_on < again.modified_on < other.modified_on
    assert made.created_on == other.created_on
    content = await settled(scripts.get(absent_script, account_id=ACCOUNT))
    assert "export default {};" in content
    assert "export const x = 1;" in content
    assert absent_script in [script.id for script in await gathered(scripts.list(account_id=ACCOUNT))]
    await settled(scripts.delete(absent_script, account_id=ACCOUNT, force=True))
    assert absent_script not in [script.id for script in await gathered(scripts.list(account_id=ACCOUNT))]
    with pytest.raises(NotFoundError):
        await settled(scripts.get(absent_script, account_id=ACCOUNT))


async def test_content_of_one_module_is_a_form(either: Any, absent_script: str) -> None:
    """Clients recognise modules by the form; the module in it is unchanged."""
    await upload(either, absent_script)

    response = await settled(either.workers.scripts.with_raw_response.get(absent_script, account_id=ACCOUNT))

    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    [part] = [
        piece for piece in message_from_bytes(head + await settled(response.read())).walk() if piece.get_filename()
    ]
    assert part.get_payload(decode=True) == MODULE[1]
    assert response.headers["cf-entrypoint"] == part.get_filename() == "worker.js"


async def test_secrets_survive_uploads(either: Any, absent_script: str) -> None:
    """An upload that does not name the secrets keeps them, even if `keep_bindings` lists other kinds or none."""
    key = fresh_keys()["raw"]
    await upload(either, absent_script, {"name": "T", "type": "secret_text", "text": "x"}, {"name": "K", **key})

    await upload(either, absent_script, *VARIABLES)
    kept = await names(either, absent_script)
    assert kept == ["K", "T"]
    for kinds in (["secret_key"], ["plain_text", "json"], []):
        await upload(either, absent_script, keep_bindings=kinds)
        assert await names(either, absent_script) == ["K", "T"]


async def test_a_variable_of_an_upload_replaces_a_secret(either: Any, absent_script: str) -> None:
    """A binding in an upload replaces a secret of the same name."""
    await upload(either, absent_script, {"name": "VAR", "type": "secret_text", "text": "x"})
    await upload(either, absent_script, *VARIABLES)

    assert await names(either, absent_script) == []


async def test_settings_show_bindings_but_no_value(either: Any, absent_script: str) -> None:
    """Settings return variables unchanged and secrets without their values."""
    key = fresh_keys()["jwk"]
    secrets = [{"name": "T", "type": "secret_text", "text": "a value"}, {"name": "K", **key}]
    await upload(either, absent_script, *secrets, *VARIABLES, compatibility_flags=["nodejs_compat"], logpush=True)

    settings = await settled(
        either.workers.scripts.script_and_version_settings.get(absent_script, account_id=ACCOUNT)
    )

    shown_bindings = [
        binding.model_dump(mode="json", exclude_unset=True, by_alias=True) for binding in settings.bindings
    ]
    secret_text = {"name": "T", "type": "secret_text"}
    assert shown_bindings == [VARIABLES[1], {"name": "K", **shown(key)}, secret_text, VARIABLES[0]]
    assert settings.compatibility_date == "2026-04-01"
    assert settings.compatibility_flags == ["nodejs_compat"]
    assert settings.logpush is True


async def test_an_inherited_binding_stays(either: Any, absent_script: str) -> None:
    """An inherited binding stays; with `strict` a missing one is refused."""
    await upload(either, absent_script, *VARIABLES)
    inherited = [{"type": "inherit", "name": "VAR"}, {"type": "inherit", "name": "NONE"}]
    metadata = {"main_module": "worker.js", "bindings": inherited}
    scripts = either.workers.scripts

    with pytest.raises(BadRequestError) as raised:
        await settled(
            scripts.update(
                absent_script, account_id=ACCOUNT, metadata=metadata, files=[MODULE], bindings_inherit="strict"
            )
        )
    await settled(scripts.update(absent_script, account_id=ACCOUNT, metadata=metadata, files=[MODULE]))
    settings = await settled(scripts.script_and_version_settings.get(absent_script, account_id=ACCOUNT))

    assert [error.code for error in raised.value.errors] == [10057]
    assert [binding.name for binding in settings.bindings] == ["VAR"]


async def test_refused_uploads_create_no_script(either: Any, absent_script: str) -> None:
    """The SDK raises an error with a code, and no script is created."""
    for script, bindings, code in (
        ("UPPER", (), 10016),
        (absent_script, ({"type": "secret_text", "name": "S", "text": "x" * 5121},), 10054),
        (absent_script, ({"type": "plain_text", "name": "S"},), 10021),
        (absent_script, ({"type": "plain_text", "name": "S", "text": "x"},) * 2, 10053),
    ):
        with pytest.raises(APIStatusError) as raised:
            await upload(either, script, *bindings)
        assert [error.code for error in raised.value.errors] == [code]
    assert absent_script not in [
        script.id for script in await gathered(either.workers.scripts.list(account_id=ACCOUNT))
    ]
