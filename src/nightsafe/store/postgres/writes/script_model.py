"""A script as a group of changes sees it: its rows as they were read, with what the group's changes have written."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from nightsafe.store.rules.rows import LiveBinding, Place, Texts
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Binding, Script, ScriptRef, Version


class UploadRow(NamedTuple):
    """The code and the settings that a version set; `code_version` is the version whose upload brought the files."""

    version: int = 0
    main_module: str = ""
    etag: str = ""
    settings: bytes = b"{}"
    code_version: int = 0


class BindingModel(NamedTuple):
    """A binding of a script's newest version.

    Attributes:
        key: the script.
        name, kind, shown, key_id, secret, digest, since: as in `LiveBinding`.
        sealed, place: what is stored of a secret; only of a binding that the group has written.
        is_stored: whether the database has this row; otherwise the group has written it.
    """

    key: Key
    name: str
    kind: str
    shown: bytes
    key_id: str | None
    secret: bool
    digest: bytes | None
    since: int
    sealed: bytes | None = None
    place: Place | None = None
    is_stored: bool = True

    def live(self) -> LiveBinding:
        """Return the binding as the rules see it."""
        return LiveBinding(self, self.key_id, self.name, self.kind, self.shown, self.secret, self.digest, self.since)

    def row(self) -> tuple[Any, ...]:
        """Return the columns of a written binding from `since` on."""
        stated = (None, None) if self.place is None else self.place
        return (self.since, self.kind, self.shown, self.key_id, self.sealed, self.digest, *stated)


class ScriptModel:
    """The rows of one script.

    Attributes:
        key: the script.
        head: its head; the version 0 for an absent script.
        mac, triggers, triggers_place, script_settings, created_on, modified_on: columns of its row.
        upload: the code and the settings of its newest version.
        digests: the digest of each of its bindings.
        bindings: the bindings that were read or written, by name; None for a name without a binding.
        stored_names: the names that the database has a row for, as far as they were read.
        is_complete: whether all bindings were read.
        newest: the newest version with its settings, if the group has written it.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.head = Head()
        self.mac = b""
        self.triggers = b"{}"
        self.triggers_place: tuple[int | None, int | None] = (None, None)
        self.script_settings = b"{}"
        self.created_on = 0
        self.modified_on = 0
        self.upload = UploadRow()
        self.digests: list[bytes] = []
        self.bindings: dict[str, BindingModel | None] = {}
        self.stored_names: set[str] = set()
        self.is_complete = False
        self.newest: Version | None = None

    def copy(self) -> "ScriptModel":
        """Return an independent copy."""
        other = ScriptModel.__new__(ScriptModel)
        other.__dict__.update(self.__dict__)
        other.digests = self.digests.copy()
        other.bindings = self.bindings.copy()
        other.stored_names = self.stored_names.copy()
        return other

    def has_read(self, names: Iterable[str] | None) -> bool:
        """Return whether the bindings with some names (None: all) were read."""
        return self.is_complete or (names is not None and all(name in self.bindings for name in names))

    def state(self) -> StoredState:
        """Return the state that the rules check."""
        return StoredState(self.mac, self.triggers, b"".join(self.digests) or None)

    def texts(self) -> Texts:
        """Return the script's texts."""
        return Texts(self.upload.settings, self.script_settings, self.triggers)

    def live(self, names: Iterable[str] | None) -> list[LiveBinding]:
        """Return the bindings with some names (None: all)."""
        models = self.bindings.values() if names is None else (self.bindings.get(name) for name in names)
        return [model.live() for model in models if model is not None]

    def shown_secrets(self) -> tuple[bytes, ...]:
        """Return `shown` of every secret, ordered by the bytes of the name."""
        secrets = [model for model in self.bindings.values() if model is not None and model.secret]
        return tuple(model.shown for model in sorted(secrets, key=lambda model: model.name.encode()))

    def retire(self, old: BindingModel) -> None:
        """Take the digest of a binding away."""
        if old.digest is not None:
            self.digests.remove(old.digest)

    def put(self, number: int, new: Binding, digest: bytes, place: Place | None) -> None:
        """Put a binding."""
        self.bindings[new.name] = BindingModel(
            key=self.key,
            name=new.name,
            kind=new.kind,
            shown=new.shown,
            key_id=new.key_id,
            secret=new.sealed is not None,
            digest=digest,
            since=number,
            sealed=new.sealed,
            place=place,
            is_stored=False,
        )
        self.digests.append(digest)

    def add_version(self, head: Head, stamp: Stamp, at: int) -> None:
        """Note the newest version."""
        self.newest = Version(
            number=head.version,
            id=stamp.version_id,
            created_on=at,
            source=stamp.source,
            triggered_by=stamp.triggered_by,
            author_id=stamp.author_id,
            author_email=stamp.author_email,
            annotations=stamp.annotations,
            main_module=self.upload.main_module,
            etag=self.upload.etag,
            settings=self.upload.settings,
        )

    def script(self) -> Script:
        """Return the script as lists show it."""
        account_id, namespace, name = self.key
        return Script(
            ref=ScriptRef(account_id, name, namespace),
            id=self.head.id,
            created_on=self.created_on,
            modified_on=self.modified_on,
            version=self.head.version,
            live_version=self.head.live_version,
            etag=self.upload.etag,
            main_module=self.upload.main_module,
            settings=self.upload.settings,
            script_settings=self.script_settings,
            triggers=self.triggers,
            source=self.head.source,
        )

    def row(self) -> tuple[Any, ...]:
        """Return all columns of the script's row, in the order of `tables.SCRIPTS`."""
        head = self.head
        numbers = (head.version, head.upload_version, head.variables)
        served = (head.live_version, head.served_version, head.deployment_count)
        times = (self.created_on, self.modified_on)
        rest = (self.script_settings, *served, self.triggers, head.content, self.mac, *self.triggers_place)
        return (*self.key, head.id, *times, *numbers, head.source, *rest)

    def settle(self) -> None:
        """Take what was written as stored, after the commit."""
        for name, model in list(self.bindings.items()):
            if model is None:
                self.stored_names.discard(name)
            elif not model.is_stored:
                self.stored_names.add(name)
                self.bindings[name] = model._replace(is_stored=True, sealed=None, place=None)


class ScriptModels:
    """Scripts by their places, and by their tags.

    Attributes:
        by_key: the scripts.
    """

    def __init__(self) -> None:
        self.by_key: dict[Key, ScriptModel] = {}
        self._keys: dict[tuple[str, str], Key] = {}

    def add(self, model: ScriptModel) -> None:
        """Add a script in its present state."""
        self.by_key[model.key] = model
        if model.head.id:
            self._keys[model.key[0], model.head.id] = model.key

    def with_id(self, account_id: str, script_id: str) -> ScriptModel:
        """Return the script with a tag."""
        return self.by_key[self._keys[account_id, script_id]]

    def clear(self) -> None:
        """Forget all scripts."""
        self.by_key.clear()
        self._keys.clear()
