"""Writes to a script with a binding that something else has changed in the database."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from tests.unit.api.delivery.test_bundles import AT, token
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import Answer, Api, File, form, form_type, script_at, secrets_of, verifier

from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.errors import Code, NightsafeError


def send(api: Api, method: str, path: str, body: bytes, header: tuple[bytes, bytes]) -> Answer:
    """Send a request that may get a 5xx."""
    answer = api.try_send(method, path, body, [header])
    assert answer is not None
    return answer


def part(name: str, value: object) -> File:
    """Return a form's part with JSON."""
    return File(name, json.dumps(value).encode(), "application/json", as_file=False)


def put_content(api: Api) -> Answer:
    """Write other code."""
    body = form(part("metadata", {"main_module": "new.js"}), File("new.js", b"export default {}"))
    return send(api, "PUT", f"{script_at('worker')}/content", body, form_type())


def patch_settings(api: Api) -> Answer:
    """Change a setting of the version."""
    body = form(part("settings", {"compatibility_date": "2026-01-01"}))
    return send(api, "PATCH", f"{script_at('worker')}/settings", body, form_type())


def put_secret(api: Api, name: str) -> Answer:
    """Put a secret."""
    header = (b"content-type", b"application/json")
    return send(api, "PUT", secrets_of("worker"), json.dumps(values.text(name)).encode(), header)


@pytest.fixture
def api(own_api: Api) -> Api:
    """Return an API with a script that has two secrets."""
    own_api.upload("worker")
    for name in ("A", "B"):
        assert 200 == put_secret(own_api, name).status
    return own_api


def change(api: Api) -> None:
    """Change what reads return of the secret A, as somebody with write access to the database."""
    with closing(sqlite3.connect(api.path)) as db:
        db.execute("UPDATE bindings SET shown = CAST(replace(shown, 'text', 'evil') AS BLOB) WHERE name = 'A'")
        db.commit()


WRITES: dict[str, Callable[[Api], Answer]] = {
    "other code": put_content,
    "another setting": patch_settings,
    "the same secret": lambda api: put_secret(api, "A"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_reads_a_changed_binding_is_refused(
    api: Api, write: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """New code, other settings, and a put of the binding itself are refused; the safe's log names the binding."""
    assert 200 == WRITES[write](api).status
    change(api)

    assert (500, [10002]) == WRITES[write](api).refusal
    assert "the binding 'A'" in capsys.readouterr().out


def test_delivery_refuses_what_a_put_of_another_secret_kept(api: Api) -> None:
    """Delivery refuses the script after a put of another secret, which does not read the changed binding.

    The new version is stated with the true digest of that binding.
    """
    change(api)
    assert 200 == put_secret(api, "B").status

    answer = api.send("GET", f"{AT}/bundles/worker", b"", [token(api)], anonymous=True)
    with pytest.raises(NightsafeError, match="somebody has changed the database") as refused:
        check_stated(open_bundle(answer.body, verifier()), verifier())
    assert Code.CANNOT_OPEN is refused.value.code
