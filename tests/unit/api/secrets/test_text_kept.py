"""Text is kept byte for byte: the delivery process receives exactly the text that was sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.api.delivery.test_bundles import bundle_of, get
from tests.unit.api.tools.collections import opened_stored
from tests.unit.api.tools.driver import ACCOUNT, Api, File, form, form_type, keys, script_at, secrets_of, verifier

from nightsafe.bundle.model import BundleBinding
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener

STORES = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
HEADS = ["\ufeff", "\ufeff\ufeffa", "\0", "\u2028", "\r\n", " ", "\x85", "\U0001f511", "\ufffe", "e\u0301"]

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(HEADS),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
        st.sampled_from(HEADS),
    ),
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Yield an API with one script."""
    with Api(tmp_path_factory.mktemp("text")) as made:
        assert made.upload("worker").status == 200
        yield made


def opened(binding: BundleBinding) -> str:
    """Return the value of a `secret_text` of the script."""
    context = Context(
        account_id=ACCOUNT, namespace="", script="worker", name=binding.name, kind=binding.kind, public=b""
    )
    assert binding.record is not None
    return RecordOpener(verifier(), keys()[0]).open(context, binding.record).reveal().decode()


def bindings_of(api: Api) -> dict[str, BundleBinding]:
    """Return the bindings that the delivery process receives, by name."""
    [version] = bundle_of(api, "worker").versions
    return {binding.name: binding for binding in version.bindings}


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts, ascii_only=st.booleans())
def test_the_text_of_an_upload_is_kept(api: Api, value: str, *, ascii_only: bool) -> None:
    """The bindings and modules of an upload are kept, sent as escapes or as UTF-8."""
    metadata = {
        "main_module": "worker.js",
        "bindings": [
            {"type": "secret_text", "name": "SECRET", "text": value},
            {"type": "plain_text", "name": "PLAIN", "text": value},
            {"type": "json", "name": "DEEP", "json": [{value: value}]},
        ],
    }
    files = [File("worker.js", b"export default {}"), File("a.txt", value.encode(), "text/plain")]
    metadata_part = File(
        "metadata", json.dumps(metadata, ensure_ascii=ascii_only).encode(), "application/json", as_file=False
    )
    assert 200 == send(api, metadata_part, *files)

    found = bindings_of(api)
    [version] = bundle_of(api, "worker").versions
    digest = next(module.digest for module in version.modules if module.name == "a.txt")

    assert value == opened(found["SECRET"])
    assert value == json.loads(bytes(found["PLAIN"].shown))["text"]
    assert [{value: value}] == json.loads(bytes(found["DEEP"].shown))["json"]
    assert value.encode() == get(api, f"modules/{digest.hex()}").body


def send(api: Api, *parts: File) -> int:
    """Upload a form; return the status."""
    return api.send("PUT", script_at("worker"), form(*parts), [form_type()]).status


def send_json(api: Api, method: str, target: str, value: Any, *, ascii_only: bool) -> Any:
    """Send JSON as escapes or as UTF-8; return the result."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    answer = api.send(method, target, body, [(b"content-type", b"application/json")])
    assert 200 == answer.status
    return answer.result


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(texts, min_size=2, max_size=2), ascii_only=st.booleans())
def test_the_text_of_secrets_is_kept(api: Api, values: list[str], *, ascii_only: bool) -> None:
    """Secrets put one at a time and in bulk are kept, sent as escapes or as UTF-8."""
    first, second = values
    send_json(
        api, "PUT", secrets_of("worker"), {"type": "secret_text", "name": "ONE", "text": first}, ascii_only=ascii_only
    )
    bulk = {"secrets": {"TWO": {"type": "secret_text", "name": "TWO", "text": second}}}
    send_json(api, "PATCH", f"{secrets_of('worker')}-bulk", bulk, ascii_only=ascii_only)

    found = bindings_of(api)

    assert values == [opened(found["ONE"]), opened(found["TWO"])]


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts, ascii_only=st.booleans())
def test_the_text_of_stored_secrets_is_kept(api: Api, value: str, *, ascii_only: bool) -> None:
    """A new and a changed value in a secrets store are kept."""
    store = send_json(api, "POST", STORES, {"name": "texts"}, ascii_only=ascii_only)["id"]
    new = {"name": "A", "value": value, "scopes": ["workers"]}
    made = send_json(api, "POST", f"{STORES}/{store}/secrets", [new], ascii_only=ascii_only)[0]["id"]
    assert value.encode() == opened_stored(api, store, "A")

    send_json(api, "PATCH", f"{STORES}/{store}/secrets/{made}", {"value": value[::-1]}, ascii_only=ascii_only)

    assert value[::-1].encode() == opened_stored(api, store, "A")
    send_json(api, "DELETE", f"{STORES}/{store}?force=true", {}, ascii_only=ascii_only)
