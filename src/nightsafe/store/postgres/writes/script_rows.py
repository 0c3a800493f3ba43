"""The rows of scripts, their bindings, their versions and their files, as a group of changes sees and writes them."""

from collections.abc import Collection, Sequence
from typing import Final

from nightsafe.store.built_rows import version_of
from nightsafe.store.postgres.reads.rows import VERSION
from nightsafe.store.postgres.writes import tables
from nightsafe.store.postgres.writes.asking import Asking, NotRead
from nightsafe.store.postgres.writes.script_model import BindingModel, ScriptModel, ScriptModels, UploadRow
from nightsafe.store.postgres.writes.statement import MOVES, REMOVALS, Rows
from nightsafe.store.rules.rows import LiveBinding, Place, Texts
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Binding, Module, Script, Version

_CONTENT_OF: Final = "SELECT etag, settings FROM uploads WHERE account_id = $1 AND script_id = $2 AND version = $3"


class ScriptRows(Asking):
    """The part of `Rows` for scripts.

    Attributes:
        models: the scripts that were read, or written by the group.
        removed: scripts to delete with everything that belongs to them: the account, and the script's id.
    """

    def __init__(self, models: ScriptModels) -> None:
        super().__init__()
        self.models = models
        self.removed: list[tuple[str, str]] = []
        self._rows: Rows = {}
        self._written_keys: dict[Key, None] = {}
        self._saved: dict[Key, ScriptModel] = {}
        self._counts: dict[str, int] = {}

    def begin_scripts(self) -> None:
        """Begin another change, which `undo_scripts` may undo."""
        self._saved = {}
        self._counts = {name: len(rows) for name, rows in self._rows.items()}
        self.removed = []

    def undo_scripts(self) -> None:
        """Forget what the change has written."""
        for model in self._saved.values():
            self.models.add(model)
        for name, rows in self._rows.items():
            del rows[self._counts.get(name, 0) :]

    def written_rows(self) -> Rows:
        """Return all rows that the group has written so far."""
        rows = {name: [*written] for name, written in self._rows.items()}
        for key in self._written_keys:
            self._add_script(rows, self.models.by_key[key])
        return rows

    def take_rows(self) -> Rows:
        """Return all rows that the group has written so far, and take them as stored."""
        rows = self.written_rows()
        for key in self._written_keys:
            self.models.by_key[key].settle()
        self._rows, self._written_keys = {}, {}
        return rows

    def head(self, key: Key) -> tuple[Head, StoredState] | None:
        """See `Rows.head`."""
        model = self._model(key, ())
        return (model.head, model.state()) if model.head.version else None

    def remove_leftovers(self, key: Key) -> None:
        """See `Rows.remove_leftovers`."""
        model = self._model(key, None)
        if model.stored_names:
            model = self._written(key)
            model.bindings = dict.fromkeys(model.stored_names)

    def bindings(self, key: Key, names: Collection[str] | None = None) -> list[LiveBinding]:
        """See `Rows.bindings`."""
        return self._model(key, names).live(names)

    def texts(self, key: Key) -> Texts | None:
        """See `Rows.texts`."""
        model = self._model(key, ())
        return model.texts() if model.head.version else None

    def content(self, account_id: str, script_id: str, version: int) -> tuple[str, bytes]:
        """See `Rows.content`."""
        upload = self.models.with_id(account_id, script_id).upload
        if upload.version == version:
            return upload.etag, upload.settings
        etag, settings = self._all(_CONTENT_OF, account_id, script_id, version)[0]
        return etag, settings

    def script(self, key: Key) -> Script:
        """See `Rows.script`."""
        return self.models.by_key[key].script()

    def version(self, account_id: str, script_id: str, number: int) -> Version:
        """See `Rows.version`."""
        newest = self.models.with_id(account_id, script_id).newest
        if newest is not None and newest.number == number:
            return newest
        return version_of(self._all(VERSION, account_id, script_id, number)[0])

    def secrets(self, key: Key) -> tuple[bytes, ...]:
        """See `Rows.secrets`."""
        return self._model(key, None).shown_secrets()

    def create_script(self, key: Key, script_id: str, at: int, triggers: Place) -> None:
        """See `Rows.create_script`."""
        model = self._written(key)
        model.head, model.created_on, model.modified_on, model.triggers_place = Head(script_id), at, at, triggers
        self.models.add(model)

    def update_script(self, key: Key, head: Head, mac: bytes, at: int) -> None:
        """See `Rows.update_script`."""
        model = self._written(key)
        model.head, model.mac, model.modified_on = head, mac, at

    def put_script_settings(self, key: Key, settings: bytes) -> None:
        """See `Rows.put_script_settings`."""
        self._written(key).script_settings = settings

    def put_triggers(self, key: Key, triggers: bytes, place: Place) -> None:
        """See `Rows.put_triggers`."""
        model = self._written(key)
        model.triggers, model.triggers_place = triggers, place

    def keep_triggers_statement(self, key: Key, place: Place) -> None:
        """See `Rows.keep_triggers_statement`."""
        self._written(key).triggers_place = place

    def keep_mac(self, key: Key, mac: bytes, content: bytes) -> None:
        """See `Rows.keep_mac`."""
        model = self._written(key)
        model.mac, model.head = mac, model.head._replace(content=content)

    def retire_binding(self, script_id: str, number: int, old: LiveBinding) -> None:
        """See `Rows.retire_binding`."""
        binding: BindingModel = old.row
        self._written(binding.key).retire(binding)
        if binding.is_stored:
            self._add(MOVES, (*binding.key, binding.name, script_id, number))
        else:
            self._add(tables.HISTORY, (binding.key[0], script_id, number, binding.name, *binding.row()))

    def remove_binding(self, old: LiveBinding) -> None:
        """See `Rows.remove_binding`."""
        self._written(old.row.key).bindings[old.name] = None

    def put_binding(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, key: Key, number: int, new: Binding, digest: bytes, place: Place | None, old: LiveBinding | None
    ) -> None:
        """See `Rows.put_binding`. A binding is written over `old`, whose digest `retire_binding` has taken away."""
        del old
        self._written(key).put(number, new, digest, place)

    def add_version(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, account_id: str, head: Head, stamp: Stamp, at: int, digest: bytes, place: Place
    ) -> None:
        """See `Rows.add_version`."""
        numbers = (account_id, head.id, head.version, stamp.version_id, stamp.deployment_id, at, head.upload_version)
        author = (stamp.source, stamp.triggered_by, stamp.author_id, stamp.author_email, stamp.annotations)
        self._add(tables.VERSIONS, (*numbers, *author, digest, *place))
        self._written(self.models.with_id(account_id, head.id).key).add_version(head, stamp, at)

    def add_upload(self, account_id: str, head: Head, main_module: str, etag: str, settings: bytes) -> None:
        """See `Rows.add_upload`."""
        number = head.version + 1
        self._add_upload(account_id, head, UploadRow(number, main_module, etag, settings, number))

    def copy_upload(self, account_id: str, head: Head, settings: bytes) -> None:
        """See `Rows.copy_upload`."""
        current = self.models.with_id(account_id, head.id).upload
        self._add_upload(account_id, head, current._replace(version=head.version + 1, settings=settings))

    def add_modules(self, account_id: str, head: Head, modules: Sequence[Module]) -> None:
        """See `Rows.add_modules`."""
        for position, module in enumerate(modules):
            names = (module.name, module.content_type, module.digest)
            self._add(tables.MODULES, (account_id, head.id, head.version + 1, position, *names))
            self._add(tables.CONTENTS, (account_id, module.digest, module.body))

    def remove_script(self, key: Key, script_id: str) -> None:
        """See `Rows.remove_script`."""
        self.removed.append((key[0], script_id))

    def _model(self, key: Key, names: Collection[str] | None) -> ScriptModel:
        """Return a script with the bindings of some names (None: all)."""
        model = self.models.by_key.get(key)
        if model is None or not model.has_read(names):
            raise NotRead(script=(key, None if names is None else frozenset(names)))
        return model

    def _written(self, key: Key) -> ScriptModel:
        """Return a script for writing."""
        model = self.models.by_key[key]
        if key not in self._saved:
            self._saved[key] = model.copy()
        self._written_keys[key] = None
        return model

    def _add(self, table: tables.Table, row: tuple[object, ...]) -> None:
        """Add a row to write."""
        self._rows.setdefault(table.name, []).append(row)

    def _add_upload(self, account_id: str, head: Head, upload: UploadRow) -> None:
        """Write the code and the settings of the next version."""
        self._add(tables.UPLOADS, (account_id, head.id, *upload))
        self._written(self.models.with_id(account_id, head.id).key).upload = upload

    def _add_script(self, rows: Rows, model: ScriptModel) -> None:
        """Add the rows of a written script: its own and those of its bindings."""
        if model.head.version:
            rows.setdefault(tables.SCRIPTS.name, []).append(model.row())
        for name, binding in model.bindings.items():
            if binding is None and name in model.stored_names:
                rows.setdefault(REMOVALS.name, []).append((*model.key, name))
            elif binding is not None and not binding.is_stored:
                rows.setdefault(tables.BINDINGS.name, []).append((*model.key, name, *binding.row()))
