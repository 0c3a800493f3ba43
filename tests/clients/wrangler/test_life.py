"""`wrangler triggers deploy`, `delete`, Workers that were last edited elsewhere, and what Nightsafe does not do."""

from hashlib import sha256
from uuid import uuid4

from tests.clients.tokens import in_store
from tests.clients.wrangler.project import Project

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.services.caller import now
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Module, ScriptRef, Upload
from nightsafe.store.sqlite import SqliteStore

CODE = b"export default {};"
_TYPE = "application/javascript+module"


def test_triggers(project: Project) -> None:
    """The address below workers.dev goes on and off; schedules are kept."""
    project.configure(workers_dev=True, triggers={"crons": ["0 3 * * *"]})
    project.ok("deploy")
    assert project.get("/subdomain")["enabled"] is True
    assert ["0 3 * * *"] == [one["cron"] for one in project.get("/schedules")["schedules"]]

    project.configure(workers_dev=False, triggers={"crons": []})
    project.ok("triggers", "deploy")
    assert project.get("/subdomain")["enabled"] is False
    assert [] == project.get("/schedules")["schedules"]


def test_what_is_not_done(project: Project) -> None:
    """Routes are not pretended: the refusal names them, and says what wrangler had done by then."""
    project.configure(routes=["example.com/*"])

    refused = project.refused("deploy")

    told = " ".join(refused.err.split())
    assert "Nightsafe does not have zones, so a Worker has no routes" in told
    assert "remove them from the configuration and deploy again; the code is already uploaded" in told
    assert "wrangler has switched off the Worker's host name unless workers_dev is true. [code: 10015]" in told
    assert project.get("/subdomain")["enabled"] is False
    assert project.is_there()


def test_delete(project: Project) -> None:
    """The Worker is gone with its secrets, and its name is free at once."""
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


def test_a_worker_edited_in_a_dashboard(project: Project) -> None:
    """What was changed there is shown as a difference before the configuration takes its place."""
    project.configure(vars={"GREETING": "hello"})
    project.ok("deploy")
    edited_in_a_dashboard(project)
    service = project.wire.ask("GET", project.at.replace("/scripts/", "/services/")).result
    assert service["default_environment"]["script"]["last_deployed_from"] == "dash"

    project.configure(vars={"GREETING": "hi"})
    said = project.ok("deploy")

    assert "differs from the remote configuration" in said.everything
    assert "GREETING" in said.everything
    assert project.bindings()["GREETING"]["text"] == "hi"


def test_a_worker_edited_through_the_api(project: Project) -> None:
    """It is told, and deployed over."""
    project.upload()

    said = project.ok("deploy")

    assert "last updated via the script API" in said.everything


def edited_in_a_dashboard(project: Project) -> None:
    """Code and settings whose source is a dashboard, which no client of these tests is."""
    safe = project.server.safe
    stamp = Stamp(
        version_id=uuid4().bytes,
        deployment_id=uuid4().bytes,
        source="dash",
        triggered_by="upload",
        author_id="0" * 32,
        author_email=safe.email,
    )
    deed = AuditEvent(at=now(), action="tests.write", actor="", actor_kind="operator", account_id=safe.account_id)
    edit = ScriptEdit(
        ref=ScriptRef(safe.account_id, project.worker),
        stamp=stamp,
        upload=Upload(
            script_id="", main_module="index.js", modules=(Module("index.js", _TYPE, sha256(CODE).digest(), CODE),)
        ),
        settings=SettingsUpdate(b'{"compatibility_date":"2024-02-02"}', merge=True),
    )

    async def job(store: SqliteStore) -> Outcome:
        """What is written."""
        return await store.commit(Change(at=deed.at, audit=entry_for(deed), edit=edit))

    in_store(safe, job)
