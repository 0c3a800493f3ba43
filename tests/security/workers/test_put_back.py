"""Attacks with write access to the database that put a single script back to an older state."""

from pathlib import Path

import pytest
from tests.clients.wire.talk import SCRIPTS
from tests.live.tools.running import HELLO, Run, put, secret, upload, wire_of
from tests.server import make_safe, run
from tests.unit.api.secrets_store.test_stores import SecretsStore
from tests.unit.api.tools.collections import opened_stored
from tests.unit.api.tools.driver import Api, script_at
from tests.unit.api.tools.rotation import Rotation, text
from tests.unit.delivery.tools.put_back import Rows, keep, put_back
from tests.unit.delivery.tools.taker import Taker

from nightsafe.errors import NightsafeError

WORKER = script_at("worker")


@pytest.fixture
def api(own_api: Api) -> Api:
    """Return an API with a script that has a secret, and another script."""
    for script in ("worker", "other"):
        own_api.upload(script, {"main_module": "worker.js", "bindings": [text("TOKEN", "older")]})
    return own_api


def test_a_replaced_secret_does_not_come_back(api: Api, tmp_path: Path) -> None:
    """The delivery process refuses a script whose deployment or subdomain setting was put back to an older state than
    it has served, also after a restart.

    The attacker puts all rows of the script back after a secret was replaced. Other scripts are delivered.
    """
    rows, running = Rows(api, tmp_path), Taker(api, tmp_path)
    assert api.put("worker", text("TOKEN", "newer")).status == 200
    assert "newer" == running.value()
    rows.put_back()

    for taker in (running, Taker(api, tmp_path)):
        with pytest.raises(NightsafeError, match="older deployment of the script than was served before"):
            taker.take()
        assert taker.take(script="other").versions


def test_an_undone_rollback_does_not_come_back(api: Api, tmp_path: Path) -> None:
    """The delivery process refuses a script whose deployment or subdomain setting was put back to an older state than
    it has served, also after a restart.

    The attacker removes a deployment that made no version, so that the one before it counts again.
    """
    assert api.put("worker", text("TOKEN", "newer")).status == 200
    rows = Rows(api, tmp_path)
    first = api.send("GET", f"{WORKER}/versions").result["items"][-1]["id"]
    body = {"strategy": "percentage", "versions": [{"version_id": first, "percentage": 100}]}
    assert api.json("POST", f"{WORKER}/deployments?force=true", body).status == 200
    assert "older" == Taker(api, tmp_path).value()
    rows.put_back("deployments", "scripts")

    with pytest.raises(NightsafeError, match="older deployment of the script than was served before"):
        Taker(api, tmp_path).take()


def test_an_older_subdomain_setting_does_not_come_back(api: Api, tmp_path: Path) -> None:
    """The delivery process refuses a script whose deployment or subdomain setting was put back to an older state than
    it has served, also after a restart.

    The attacker makes a script reachable from outside again.
    """
    rows, running = Rows(api, tmp_path), Taker(api, tmp_path)
    assert api.json("POST", f"{WORKER}/subdomain", {"enabled": False}).status == 200
    assert running.take().inner
    rows.put_back("scripts")

    for taker in (running, Taker(api, tmp_path)):
        with pytest.raises(NightsafeError, match="older subdomain setting of the script than was served before"):
            taker.take()


def test_a_script_that_was_put_back_is_not_served(tmp_path: Path) -> None:
    """The delivery process refuses a script whose deployment or subdomain setting was put back to an older state than
    it has served, also after a restart.

    `nightsafe audit verify` finds the attack. `nightsafe run` starts, names the script in its log, and gives it no
    request. The script is served again after somebody has deleted and uploaded it.
    """
    safe = make_safe(tmp_path)
    with Run(safe) as running, wire_of(running) as wire:
        for script in ("script", "other"):
            upload(wire, script, HELLO, secret("TOKEN", "older"))
        older = keep(safe.database, tmp_path / "older.db")
        put(wire, "script", "TOKEN", "newer")
        assert "newer" == running.workers.text("script")
    put_back(safe.database, older)

    assert 1 == run("audit", "verify", "--data", str(safe.path), cwd=tmp_path).returncode
    with Run(safe) as again, wire_of(again) as wire:
        assert "older" == again.workers.text("other")
        assert 503 == again.workers.get("script").status_code
        assert "the API offers an older deployment of the script" in again.stderr.read_text()
        assert 200 == wire.ask("DELETE", f"{SCRIPTS}/script").status
        upload(wire, "script", HELLO, secret("TOKEN", "newest"))
        assert "newest" == again.workers.text("script")


def test_a_deleted_script_does_not_come_back(api: Api, tmp_path: Path) -> None:
    """The delivery process refuses a deleted script that was put back, if it has served the script and learned of the
    deletion.

    This holds after a restart too.
    """
    rows, running = Rows(api, tmp_path), Taker(api, tmp_path)
    assert "older" == running.value()
    assert api.send("DELETE", WORKER).status == 200
    assert () == running.take().versions
    rows.put_back()

    for taker in (running, Taker(api, tmp_path)):
        with pytest.raises(NightsafeError, match="a script that was deleted"):
            taker.take()


def test_a_process_without_marks_takes_an_older_script(api: Api, tmp_path: Path) -> None:
    """A delivery process that has no mark of a script, such as a new one, serves an older state of the script that an
    attacker with write access to the database has put back.
    """
    rows = Rows(api, tmp_path)
    assert api.put("worker", text("TOKEN", "newer")).status == 200
    rows.put_back()

    assert "older" == Taker(api, tmp_path).value()


def test_later_writes_build_on_an_older_script(api: Api, tmp_path: Path) -> None:
    """After an attacker with write access to the database has put a script back, later writes to the script build on
    the older state, and the delivery process serves what they have made.
    """
    rows, taker = Rows(api, tmp_path), Taker(api, tmp_path)
    assert api.put("worker", text("TOKEN", "newer")).status == 200
    assert "newer" == taker.value()
    rows.put_back()
    with pytest.raises(NightsafeError, match="older deployment"):
        taker.take()
    assert api.upload("worker", {"main_module": "worker.js", "keep_bindings": ["secret_text"]}).status == 200

    assert "older" == taker.value()


def test_an_older_store_secret_is_served(own_api: Api, tmp_path: Path) -> None:
    """An attacker with write access to the database can put back an older value of a secret of a Secrets Store, or
    the form of a value from before it was resealed, and Nightsafe serves it.
    """
    store = SecretsStore(own_api)
    (made,) = store.make({"name": "S", "value": "older", "scopes": ["workers"]})
    bound = {"type": "secrets_store_secret", "name": "BOUND", "store_id": store.id, "secret_name": "S"}
    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": [bound]}).status == 200
    rows, taker = Rows(own_api, tmp_path), Taker(own_api, tmp_path)
    assert store.ask("PATCH", f"/secrets/{made}", {"value": "newer"}).status == 200
    taker.take()
    rows.put_back("items")
    [served] = taker.take().versions[0].bindings

    assert served.stored is not None
    assert b"older" == opened_stored(own_api, store.id, "S")


def test_a_value_from_before_it_was_resealed_is_served(rotation: Rotation, tmp_path: Path) -> None:
    """An attacker with write access to the database can put back an older value of a secret of a Secrets Store, or
    the form of a value from before it was resealed, and Nightsafe serves it.
    """
    taker, rows = Taker(rotation.api, tmp_path), Rows(rotation.api, tmp_path)
    before = taker.take().versions[0].bindings
    rotation.rotate()
    rotation.reseal()
    assert before != taker.take().versions[0].bindings
    rows.put_back("bindings")

    assert before == taker.take().versions[0].bindings
