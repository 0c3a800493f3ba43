"""`client.workers.scripts`: uploads, content, settings, schedules and subdomain."""

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.stored_values import opened
from tests.clients.typescript_sdk.calls import NO_TYPE, Resource, file, form, here, metadata, secret, shown
from tests.server import ACCOUNT, Server


@pytest.fixture
def scripts(typescript: TypeScript) -> Resource:
    """Return the resource."""
    return Resource(typescript, "workers.scripts")


def test_an_upload_with_metadata_as_a_file_works(server: Server, scripts: Resource, absent_script: str) -> None:
    """With the metadata as a file and a Content-Type of `null` an upload works, and the content is unchanged."""
    variable = {"type": "plain_text", "name": "VAR", "text": "shown"}
    files = [file("worker.js", "import './more.js';"), file("more.js", "export const x = '☃';")]
    sent = here(metadata=metadata(secret("S", "one"), variable), files=files)

    made = scripts.call("update", absent_script, sent, NO_TYPE)
    again = scripts.call("update", absent_script, form(), NO_TYPE)

    assert (absent_script, made["tag"], 0) == (made["id"], again["tag"], again["startup_time_ms"])
    assert "\r\n\r\nexport default {};\r\n" in scripts.call("get", absent_script, here())
    assert {"S": "one"} == opened(server.safe, absent_script)
    assert absent_script in [script["id"] for script in scripts.call("list", here())]
    [found] = scripts.call("search", here(id=made["tag"]))
    assert absent_script == found["script_name"]
    strict = form({"type": "inherit", "name": "VAR"}) | {"bindings_inherit": "strict"}
    assert (400, [10057]) == scripts.refused("update", absent_script, strict, NO_TYPE)
    scripts.call("delete", absent_script, here(force=True))
    assert (404, [10007]) == scripts.refused("get", absent_script, here())


def test_an_upload_that_the_sdk_breaks_is_refused(server: Server, scripts: Resource, absent_script: str) -> None:
    """A form with the wrong content type, or with split metadata, is refused; no script is created or changed."""
    sent = here(
        metadata={"main_module": "worker.js", "bindings": [secret("S", "a value")]}, files=[file("worker.js", "1;")]
    )

    assert (400, [10006]) == scripts.refused("update", absent_script, sent)
    assert (400, [10006]) == scripts.refused("update", absent_script, form())
    assert (400, [10021]) == scripts.refused("update", absent_script, sent, NO_TYPE)
    assert (404, [10007]) == scripts.refused("get", absent_script, here())
    scripts.call("update", absent_script, form(secret("S", "one")), NO_TYPE)
    assert (400, [10006]) == scripts.refused("update", absent_script, sent)
    assert {"S": "one"} == opened(server.safe, absent_script)


def test_new_content_keeps_secrets(server: Server, scripts: Resource, absent_script: str) -> None:
    """A new content keeps the secrets and is returned with the name of its main module."""
    scripts.call("update", absent_script, form(secret("S", "one")), NO_TYPE)
    described = file("metadata", '{"main_module": "new.js"}', "application/json")

    shown_script = scripts.call(
        "content.update", absent_script, here(metadata=described, files=[file("new.js", "export default 1;")])
    )
    read = scripts.call("content.get", absent_script, here())

    assert absent_script == shown_script["id"]
    assert "new.js" == read["headers"]["cf-entrypoint"]
    assert "\r\n\r\nexport default 1;\r\n" in read["text"]
    assert {"S": "one"} == opened(server.safe, absent_script)


def test_settings_as_a_file_are_accepted(server: Server, scripts: Resource, absent_script: str) -> None:
    """Settings as a file are accepted; the SDK splits an object into fields, which is refused."""
    scripts.call("update", absent_script, form(secret("S", "one"), secret("GONE", "x")), NO_TYPE)
    bindings = '[{"type": "secret_text", "name": "S"}, {"type": "secret_text", "name": "NEW", "text": "two"}]'
    wanted = file("settings", f'{{"bindings": {bindings}, "logpush": true}}', "application/json")

    edited = scripts.call("scriptAndVersionSettings.edit", absent_script, here(settings=wanted))
    broken = here(settings={"bindings": [{"type": "secret_text", "name": "S"}]})

    assert ([shown("NEW"), shown("S")], True) == (edited["bindings"], edited["logpush"])
    assert (400, [10201]) == scripts.refused("scriptAndVersionSettings.edit", absent_script, broken)
    assert edited == scripts.call("scriptAndVersionSettings.get", absent_script, here())
    assert {"S": "one", "NEW": "two"} == opened(server.safe, absent_script)
    script_settings = scripts.call(
        "settings.edit", absent_script, here(tags=["a"], tail_consumers=[{"service": "consumer"}])
    )
    assert {"logpush": True, "tags": ["a"], "tail_consumers": [{"service": "consumer"}]} == script_settings
    assert script_settings == scripts.call("settings.get", absent_script, here())
    assert 2 == len(scripts.call("versions.list", absent_script, here()))


def test_schedules_and_subdomain_are_stored(scripts: Resource, script: str) -> None:
    """Schedules and the subdomain's settings are returned as they were set; a tail cannot be created."""
    crons = [{"cron": "*/30 * * * *"}]
    put = scripts.call("schedules.update", script, here(body=crons))
    assert crons == [{"cron": schedule["cron"]} for schedule in put["schedules"]]
    assert put == scripts.call("schedules.get", script, here())

    off = {"enabled": False, "previews_enabled": False}
    on = {"enabled": True, "previews_enabled": True}
    assert off | {"enabled": True} == scripts.call("subdomain.get", script, here())  # the default
    assert on == scripts.call("subdomain.create", script, here(**on))
    assert on == scripts.call("subdomain.get", script, here())
    assert off == scripts.call("subdomain.delete", script, here())

    assert [] == scripts.call("tail.get", script, here())
    assert (400, [10015]) == scripts.refused("tail.create", script, here())
    assert (400, [10015]) == scripts.refused("tail.delete", "some", here(script_name=script))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("kv.namespaces.create", [{"title": "x"}]),
        ("kv.namespaces.get", ["0" * 32, {}]),
        ("workers.domains.update", [{"hostname": "a.b", "service": "s", "zone_id": "0" * 32}]),
        ("workers.domains.delete", ["some", {}]),
        ("workers.subdomains.update", [{"subdomain": "other"}]),
        ("workers.subdomains.delete", [{}]),
        ("workers.accountSettings.get", [{}]),
        ("workers.assets.upload.create", [{"base64": True, "body": {}}]),
        ("workers.scripts.assets.upload.create", ["script", {"manifest": {}}]),
        ("queues.list", [{}]),
    ],
)
def test_unsupported_calls_are_refused(typescript: TypeScript, method: str, arguments: list[object]) -> None:
    """Each unsupported call gives 400 with 10015."""
    *first, fields = arguments
    assert isinstance(fields, dict)
    resource, _, name = method.rpartition(".")
    assert (400, [10015]) == Resource(typescript, resource).refused(name, *first, here(**fields))


@pytest.mark.parametrize("resource", ["kv.namespaces", "durableObjects.namespaces", "workers.domains"])
def test_lists_of_unsupported_products_are_empty(typescript: TypeScript, resource: str) -> None:
    """The lists end, even if the client reads pages until one is empty."""
    assert [] == typescript.call(f"{resource}.list", here())


def test_the_workers_dev_subdomain_is_a_placeholder(typescript: TypeScript) -> None:
    """The account's workers.dev subdomain is a placeholder."""
    assert {"subdomain": f"nightsafe_{ACCOUNT[:8]}"} == typescript.call("workers.subdomains.get", here())
