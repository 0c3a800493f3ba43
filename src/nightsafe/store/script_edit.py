"""The edit of a script in a change: its bindings, settings, version and deployment.

`store/scripts.py` defines the forms of times and ids.
"""

from msgspec import Struct

from nightsafe.errors import Code
from nightsafe.store.references import ReferenceCandidates, RequiredScript
from nightsafe.store.scripts import Binding, ScriptRef, Upload


class Inherit(Struct, frozen=True):
    """A binding that an upload takes over from the previous version: `old_name` there, `name` in the new version.

    If `must` is set and the binding is absent, the store refuses the edit, regardless of `BindingsUpdate.strict`.
    """

    name: str
    old_name: str
    required: bool = False


class BindingsUpdate(Struct, frozen=True, kw_only=True):
    """An update of all bindings, which removes every binding that is not set by the edit, kept or inherited.

    Attributes:
        keep: the types whose bindings stay from the previous version, unless the edit sets a binding of that name.
        inherits: bindings of any type to take over by name.
        strict: refuse the edit when a binding of `inherits` is absent, instead of dropping it.
    """

    keep: frozenset[str] = frozenset()
    inherits: tuple[Inherit, ...] = ()
    strict: bool = False


class SettingsUpdate(Struct, frozen=True):
    """A JSON object of settings that replaces the current ones or, with `merge`, is merged over them.

    In a merge, a null member removes the current member, and any other member replaces the whole current member.
    With `expected`, the current settings must still equal `expected` byte for byte. So a caller that computes the new
    settings from the old never undoes another caller's change.
    """

    body: bytes
    merge: bool = False
    expected: bytes | None = None


class Stamp(Struct, frozen=True, kw_only=True):
    """The properties of the version that an edit makes, and of its deployment at 100 %.

    Attributes:
        version_id: the new version's UUID, 16 bytes.
        deployment_id: the UUID of its deployment, 16 bytes, or b"" for a version that is not deployed.
        source: the kind of client that made it, in the API's words: `api`, `wrangler`, `terraform`, `unknown` ...
        triggered_by: `upload`, `secret`, `version_upload` ...
        author_id: the user's id.
        author_email: the user's e-mail.
        annotations: JSON object of further annotations and version tags, b"{}" for none.
    """

    version_id: bytes
    deployment_id: bytes
    source: str
    triggered_by: str
    author_id: str
    author_email: str
    annotations: bytes = b"{}"


class NewDeployment(Struct, frozen=True, kw_only=True):
    """The versions to serve from now on, in place of the versions served now.

    Attributes:
        id: the deployment's UUID, 16 bytes.
        versions: UUIDs of versions with their percentages; the caller has checked that these sum to 100.
        force: deploy even if secrets have changed since these versions were served.
        source, author_id, author_email, annotations: as in `Stamp`.
    """

    id: bytes
    versions: tuple[tuple[bytes, float], ...]
    source: str
    author_id: str
    author_email: str
    annotations: bytes = b"{}"
    force: bool = False


class ScriptEdit(Struct, frozen=True, kw_only=True):
    """The edit of one script, which the store applies whole or not at all.

    Attributes:
        ref: the script.
        stamp: the properties of the version that the edit makes; None if it cannot make one.
        set: bindings to create or replace.
        drop: names of secrets to remove.
        require_drop: refuse the change when a name in `drop` is not a secret of the script; otherwise ignore it.
        upload: new code; None keeps the code and requires the script to exist.
        bindings_update: the update of the bindings that are neither set nor dropped; None keeps them.
        settings: versioned settings (compatibility date, flags, limits ...); None keeps them.
        script_settings: settings that belong to the script and not to a version (tags, logpush, observability,
            tail consumers); None keeps them.
        triggers: JSON object of the settings that uploads do not change (subdomain, schedules, migration tag), merged
            as `SettingsUpdate.merge` defines; None keeps them.
        must_be_live: refuse the edit with this code unless the newest version is the only deployed one; None for any
            state.
        always: make a version even if the edit alters nothing.
        deploy: a deployment of existing versions to make.
        state: the UUID of a deployment, or b"": state it and a part of everything else that is older than the log.
        remove: delete the script with everything that belongs to it.
        reference_candidates: with `remove`, the bindings and settings that may lead to the script must still be
            these; None for any.
        needs: scripts that must exist.
        based_on: the number that the newest version must have; 0 for a script that must be absent; None for any.
        max_variables: the maximum number of secrets, text variables and JSON variables after the edit.
        list_secrets: list every secret after the edit in the outcome.
    """

    ref: ScriptRef
    stamp: Stamp | None = None
    set: tuple[Binding, ...] = ()
    drop: tuple[str, ...] = ()
    require_drop: bool = True
    upload: Upload | None = None
    bindings_update: BindingsUpdate | None = None
    settings: SettingsUpdate | None = None
    script_settings: SettingsUpdate | None = None
    triggers: bytes | None = None
    must_be_live: Code | None = None
    always: bool = False
    deploy: NewDeployment | None = None
    state: bytes | None = None
    remove: bool = False
    reference_candidates: ReferenceCandidates | None = None
    needs: "tuple[RequiredScript, ...]" = ()
    based_on: int | None = None
    max_variables: int = 128
    list_secrets: bool = False
