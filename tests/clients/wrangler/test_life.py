"""`wrangler triggers deploy` and `delete`, Workers that were edited elsewhere, and refused features."""

from hashlib import sha256
from uuid import uuid4

import pytest
from tests.clients.tokens import in_store
from tests.clients.wrangler.project import Project

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.services.caller import now
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Module, ScriptRef, Upload

CODE = b"export default {};"
_TYPE = "application/javascript+module"


def test_deploy_sets_address_and_schedules(project: Project) -> None:
    """The workers.dev address is switched on and off, and schedules are stored."""
    project.configure(workers_dev=True, triggers={"crons": ["0 3 * * *"]})
    project.ok("deploy")
    assert project.get("/subdomain")["enabled"] is True
    assert ["0 3 * * *"] == [schedule["cron"] for schedule in project.get("/schedules")["schedules"]]

    project.configure(workers_dev=False, triggers={"crons": []})
    project.ok("triggers", "deploy")
    assert project.get("/subdomain")["enabled"] is False
    assert [] == project.get("/schedules")["schedules"]


def test_routes_are_refused_with_advice(project: Project) -> None:
    """The refusal of routes names them, and says which steps wrangler has already done."""
    project.configure(routes=["example.com/*"])

    refused = project.refused("deploy")

    message = " ".join(refused.err.split())
    assert "Nightsafe does not have zones, so a Worker has no routes" in message
    assert "remove them from the configuration and deploy again; the code is already uploaded" in message
    assert "wrangler has switched off the Worker's host name unless workers_dev is true. [code: 10015]" in message
    assert project.get("/subdomain")["enabled"] is False
    assert project.is_there()


def test_delete_removes_the_worker_and_its_secrets(project: Project) -> None:
    """`delete` removes the Worker with its secrets, and its name is free at once."""
    project.ok("deploy")
    project.ok("secret", "put", "KEY", stdin="hush")

    deleted = project.ok("delete", "--name", project.worker)
    assert f"Successfully deleted {project.worker}" in deleted.out
    assert not project.is_there()

    project.ok("deploy")
    assert {} == project.values()
    assert 1 == len(project.versions())
    project.ok("delete", "--name", project.worker, "--force")
    absent = project.refused("delete", "--name", project.worker)
    assert project.worker in absent.err
    assert not project.is_there()


@pytest.mark.thorough
def test_deploy_shows_changes_from_a_dashboard(project: Project) -> None:
    """Wrangler shows a change that was made in a dashboard before it overwrites it."""
    project.configure(vars={"GREETING": "hello"})
    project.ok("deploy")
    edit_in_a_dashboard(project)
    service = project.wire.ask("GET", project.at.replace("/scripts/", "/services/")).result
    assert service["default_environment"]["script"]["last_deployed_from"] == "dash"

    project.configure(vars={"GREETING": "hi"})
    output = project.ok("deploy")

    assert "differs from the remote configuration" in output.everything
    assert "GREETING" in output.everything
    assert project.bindings()["GREETING"]["text"] == "hi"


def test_deploy_warns_about_changes_through_the_api(project: Project) -> None:
    """Wrangler warns about the change and deploys."""
    project.upload()

    output = project.ok("deploy")

    assert "last updated via the script API" in output.everything


def edit_in_a_dashboard(project: Project) -> None:
    """Write code and settings with a dashboard as their source, since no client of these tests has that source."""
    safe = project.server.safe
    stamp = Stamp(
        version_id=uuid4().bytes,
        deployment_id=uuid4().bytes,
        source="dash",
        triggered_by="upload",
        author_id="0" * 32,
        author_email=safe.email,
    )
    event = AuditEvent(at=now(), action="tests.write", actor="", actor_kind="operator", account_id=safe.account_id)
    edit = ScriptEdit(
        ref=ScriptRef(safe.account_id, project.worker),
        stamp=stamp,
        upload=Upload(
            script_id="", main_module="index.js", modules=(Module("index.js", _TYPE, sha256(CODE).digest(), CODE),)
        ),
        settings=SettingsUpdate(b'{"compatibility_date":"2024-02-02"}', merge=True),
    )

    async def commit(store: Store) -> Outcome:
        """Commit the edit."""
        return await store.commit(Change(at=event.at, audit=entry_for(event), edit=edit))

    in_store(safe, commit)
