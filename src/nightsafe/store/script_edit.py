"""The edit of a script that a change makes: its bindings, settings, version and deployment.

Times and ids are as in `store/scripts.py`.
"""

from msgspec import Struct

from nightsafe.errors import Code
from nightsafe.store.references import Need, Pointing
from nightsafe.store.scripts import Binding, ScriptRef, Upload


class Inherit(Struct, frozen=True):
    """A binding that an upload takes over from the version before: `old_name` there, `name` here.

    With `must` the edit is refused when it cannot be found, whatever `BindingsUpdate.strict` says of the others.
    """

    name: str
    old_name: str
    must: bool = False


class BindingsUpdate(Struct, frozen=True, kw_only=True):
    """The bindings as a whole: those that neither the edit sets nor this keeps or inherits are taken away.

    Attributes:
        keep: kinds of which the bindings of the version before stay, unless the edit sets one of that name.
        inherits: bindings to take over by name, whatever their kind.
        strict: refuse the edit when one of `inherits` cannot be found, instead of dropping it.
    """

    keep: frozenset[str] = frozenset()
    inherits: tuple[Inherit, ...] = ()
    strict: bool = False


class Settings(Struct, frozen=True):
    """A JSON object of settings: instead of those there are or, with `merge`, member by member over them.

    In a merge a member that is null is removed; the others replace what was there, whole. With `over`, what there is
    must still be that, byte for byte: whoever works out the new from the old undoes nothing of another's.
    """

    body: bytes
    merge: bool = False
    over: bytes | None = None


class Stamp(Struct, frozen=True, kw_only=True):
    """The version that an edit makes, and the deployment of it at 100 %.

    Attributes:
        version_id: the new version's UUID, 16 bytes.
        deployment_id: the UUID of its deployment, 16 bytes, or b"" for a version that is not deployed.
        source: who made it, a word of the wire: `api`, `wrangler`, `terraform`, `unknown` ...
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
    """Versions that are to be served from now on, in place of those that are.

    Attributes:
        id: its UUID, 16 bytes.
        versions: UUIDs of versions with their percentages, which the caller has checked to sum to 100.
        force: also when secrets have changed since these versions were served.
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
    """What a change does to one script, all of it or nothing.

    Attributes:
        ref: which script.
        stamp: the version it makes; None when it can make none.
        set: bindings to create or replace.
        drop: names of secrets to remove.
        require_drop: refuse the change when a name of `drop` is no secret of the script; else it is passed over.
        upload: new code; None leaves the code as it is and needs the script to exist.
        bindings_update: what becomes of the bindings that are neither set nor dropped; None leaves them.
        settings: versioned settings (compatibility date, flags, limits ...); None leaves them.
        script_settings: settings that belong to the script and not to a version (tags, logpush, observability,
            tail consumers); None leaves them.
        triggers: JSON object of what no upload touches (subdomain, schedules, migration tag), merged as
            `Settings.merge` says; None leaves it.
        must_be_live: the code to refuse with unless the newest version is the only deployed one; None for any state.
        always: make a version even if nothing is altered.
        deploy: a deployment to make, of versions that are there.
        remove: delete the script with all that belongs to it.
        pointing: with `remove`, what may lead to the script must still be that; None for whatever leads to it.
        needs: scripts that must be there.
        based_on: number that the newest version must have, 0 for a script that must not be there; None for any.
        max_variables: the most secrets and text and JSON variables that the script may then have.
        list_secrets: whether the outcome is to tell every secret there is then.
    """

    ref: ScriptRef
    stamp: Stamp | None = None
    set: tuple[Binding, ...] = ()
    drop: tuple[str, ...] = ()
    require_drop: bool = True
    upload: Upload | None = None
    bindings_update: BindingsUpdate | None = None
    settings: Settings | None = None
    script_settings: Settings | None = None
    triggers: bytes | None = None
    must_be_live: Code | None = None
    always: bool = False
    deploy: NewDeployment | None = None
    remove: bool = False
    pointing: Pointing | None = None
    needs: "tuple[Need, ...]" = ()
    based_on: int | None = None
    max_variables: int = 128
    list_secrets: bool = False
