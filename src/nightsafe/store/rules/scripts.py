"""Applies an edit of a script."""

from collections.abc import Iterable

from nightsafe.bundle.statements import binding_digest
from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import Kind
from nightsafe.store.log.written import row_digest
from nightsafe.store.references import RequiredScript
from nightsafe.store.rules.deployments import deploy
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.json_merge import apply_settings
from nightsafe.store.rules.older_rows import state_older_rows
from nightsafe.store.rules.rows import LiveBinding, Rows, Texts
from nightsafe.store.rules.script_head import Head, Key, StoredState, key_of
from nightsafe.store.rules.script_plan import CurrentBinding, ScriptPlan, plan_edit
from nightsafe.store.rules.script_state import (
    ScriptState,
    changed,
    check_content,
    checked_state,
    digests_without,
    mac_of,
)
from nightsafe.store.rules.statements import state_triggers
from nightsafe.store.rules.versions import Content, PlannedBindings, write_version
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate
from nightsafe.store.scripts import Deployment

_EMPTY = b"{}"
_NO_TEXTS = Texts()
_NO_PARTS = (None,) * 6


def edit_script(rows: Rows, log: GroupLog, edit: ScriptEdit, at: int) -> tuple[Outcome, bool]:
    """Apply an edit, and state what it wrote; return its outcome, and whether it altered anything.

    Raises:
        NightsafeError: as `Store.commit` specifies.
    """
    key = key_of(edit.ref)
    before, stored = _head(rows, key, edit)
    if edit.based_on not in {None, before.version}:
        raise NightsafeError(Code.UNAVAILABLE, f"the Worker was changed meanwhile: {AGAIN}")
    _refuse_missing_scripts(rows, edit.needs)
    log.written.owner = before.id
    if edit.remove:
        _refuse_changed_references(rows, edit)
        rows.remove_script(key, before.id)
        log.written.gone.append(f"owner/{before.id}")
        return Outcome(script_id=before.id), True
    if edit.must_be_live is not None and before.live_version != before.version:
        raise NightsafeError(edit.must_be_live, edit.ref.name)
    before, state = checked_state(rows, log, key, before, stored)
    if edit.state is not None:
        rows.keep_mac(key, mac_of(log, key, before, state), before.content)
        stated = state_older_rows(rows, log, edit.ref, before, edit.state)
        return Outcome(script_id=before.id, stated=stated), stated > 0
    current, live = _current_bindings(rows, key, edit)
    plan = plan_edit(edit, current, before.variables)
    texts = _texts(rows, key, edit)
    if not _alters(edit, plan, texts):
        return _outcome(rows, edit, before, 0), False
    if texts != _NO_TEXTS:
        check_content(rows, key, before)
    kept = digests_without(state, [current[name].digest for name in plan.retire])
    planned, state = PlannedBindings(plan, live), ScriptState(state.triggers, kept)
    head, deployment = _write(rows, log, edit, before, planned, texts, state, at)
    return _outcome(rows, edit, head, head.version if head.version > before.version else 0, deployment), True


def _head(rows: Rows, key: Key, edit: ScriptEdit) -> tuple[Head, StoredState]:
    """Read the script before the edit; refuse if it is absent and the edit may not create it."""
    found = rows.head(key)
    if found is not None:
        return found
    if edit.upload is None or not edit.upload.create or edit.remove:
        raise NightsafeError(Code.SCRIPT_NOT_FOUND, edit.ref.name)
    account_id, namespace, _ = key
    if namespace and rows.collection(account_id, Kind.DISPATCH_NAMESPACE, namespace) is None:
        raise NightsafeError(Code.NAMESPACE_NOT_FOUND, namespace)
    rows.remove_leftovers(key)
    return Head(edit.upload.script_id), StoredState()


def _refuse_missing_scripts(rows: Rows, needs: Iterable[RequiredScript]) -> None:
    """Refuse a change that needs absent scripts.

    Raises:
        NightsafeError: the problem of each absent script.
    """
    problems = [need.problem for need in needs if rows.head(key_of(need.script)) is None]
    if problems:
        raise NightsafeError.of(problems)


def _refuse_changed_references(rows: Rows, edit: ScriptEdit) -> None:
    """Refuse a removal if the references to the script differ from the ones that the caller examined.

    Raises:
        NightsafeError: UNAVAILABLE, when they differ.
    """
    if edit.reference_candidates is None:
        return
    if edit.reference_candidates != rows.references(edit.ref.account_id, edit.ref.name):
        raise NightsafeError(Code.UNAVAILABLE, f"the references to the Worker were changed meanwhile: {AGAIN}")


def _current_bindings(
    rows: Rows, key: Key, edit: ScriptEdit
) -> tuple[dict[str, CurrentBinding], dict[str, LiveBinding]]:
    """Read the current bindings, and refuse changed ones: those that the edit names, or all of them.

    A new version is also stated with the bindings that it keeps. To read them all would make the put of one secret
    slow, so delivery refuses such a version then; an edit of more than secrets reads them.

    Raises:
        NightsafeError: CANNOT_OPEN, when something else has changed one that was read.
    """
    if edit.bindings_update is not None or edit.upload is not None or edit.settings is not None:
        found = rows.bindings(key)
    else:
        found = rows.bindings(key, {*(binding.name for binding in edit.set), *edit.drop})
    current, live = {}, {}
    for old in found:
        digest = binding_digest(old.name, old.kind, old.shown, old.since)
        if digest != old.digest:
            raise changed(f"the binding {old.name!r} and others")
        current[old.name] = CurrentBinding(old.kind, old.shown, old.secret, digest)
        live[old.name] = old
    return current, live


def _texts(rows: Rows, key: Key, edit: ScriptEdit) -> Texts:
    """Compute the script's new texts. New code always needs a new row of settings."""
    if edit.upload is None and edit.settings is None and edit.script_settings is None and edit.triggers is None:
        return _NO_TEXTS
    triggers = None if edit.triggers is None else SettingsUpdate(edit.triggers, merge=True)
    updates = (edit.settings, edit.script_settings, triggers)
    old = rows.texts(key) or Texts(_EMPTY, _EMPTY, _EMPTY)
    new = Texts(
        *(
            None if settings is None else apply_settings(text or _EMPTY, settings)
            for text, settings in zip(old, updates, strict=True)
        )
    )
    return new._replace(settings=old[0]) if edit.upload is not None and new.settings is None else new


def _alters(edit: ScriptEdit, plan: ScriptPlan, texts: Texts) -> bool:
    """Return True if the edit alters anything."""
    return _makes_version(edit, plan, texts) or edit.deploy is not None or texts != _NO_TEXTS


def _makes_version(edit: ScriptEdit, plan: ScriptPlan, texts: Texts) -> bool:
    """Return True if the edit alters anything that belongs to a version."""
    return bool(edit.upload or plan.put or plan.retire or edit.always) or texts.settings is not None


def _write(  # noqa: PLR0913, PLR0917  # what the edit came to
    rows: Rows,
    log: GroupLog,
    edit: ScriptEdit,
    head: Head,
    planned: PlannedBindings,
    texts: Texts,
    state: ScriptState,
    at: int,
) -> tuple[Head, Deployment | None]:
    """Write the alterations of an edit, and return the script's new state and deployment."""
    key, deployment = key_of(edit.ref), None
    if not head.version:
        rows.create_script(key, head.id, at, state_triggers(log, key, head, _EMPTY))
    if _makes_version(edit, planned.plan, texts):
        if edit.stamp is None:
            raise NightsafeError(Code.INVALID, "an edit that makes a version needs a stamp")
        content = Content(edit.upload, texts.settings)
        head, state = write_version(rows, log, key, head, planned, content, state, edit.stamp, at)
    if texts.script_settings is not None:
        rows.put_script_settings(key, texts.script_settings)
        log.written.rows.append(("settings//", row_digest("Settings", texts.script_settings)))
    if texts.triggers is not None:
        rows.put_triggers(key, texts.triggers, state_triggers(log, key, head, texts.triggers))
        state = state._replace(triggers=texts.triggers)
    if edit.deploy is not None:
        head, deployment = deploy(rows, log, edit.ref, head, edit.deploy, at)
    rows.update_script(key, head, mac_of(log, key, head, state), at)
    return head, deployment


def _outcome(rows: Rows, edit: ScriptEdit, head: Head, number: int, deployment: Deployment | None = None) -> Outcome:
    """Build the outcome of an edit; `number` is the number of the version it made, or 0."""
    key = key_of(edit.ref)
    secrets = rows.secrets(key) if edit.list_secrets else ()
    if not _may_alter_script(edit):
        return Outcome(number, head.id, secrets)
    newest = rows.version(key[0], head.id, head.version)
    return Outcome(number, head.id, secrets, rows.script(key), newest, deployment)


def _may_alter_script(edit: ScriptEdit) -> bool:
    """Return True if the edit can alter more than secrets."""
    parts = (edit.upload, edit.bindings_update, edit.settings, edit.script_settings, edit.triggers, edit.deploy)
    return edit.always or parts != _NO_PARTS
