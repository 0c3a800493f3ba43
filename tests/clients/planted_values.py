"""Requests that carry a secret value in every way except a script's own secrets and its upload.

The ways are versions, settings, services, dispatch namespaces, previews, Pages projects and the Secrets Store. In
each way values are stored, replaced and refused.
"""

from collections.abc import Callable
from typing import Any

from tests.clients.canaries import Canaries
from tests.clients.stored_values import opened, opened_held, opened_stored
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Answer, Wire, send_form
from tests.server import Safe

from nightsafe.store.collections import Kind

_ACCOUNT = SCRIPTS.removesuffix("/workers/scripts")
_AT = f"{SCRIPTS}/doors"
_WORKER = f"{_ACCOUNT}/workers/workers/doors"
_SERVICE = f"{_ACCOUNT}/workers/services/doors/environments/staging"
_NAMESPACES = f"{_ACCOUNT}/workers/dispatch/namespaces"
_DISPATCHED = f"{_NAMESPACES}/doors/scripts/user"
_PROJECT = f"{_ACCOUNT}/pages/projects/doors"
STORES = f"{_ACCOUNT}/secrets_store/stores"
_PLAIN_JSON = ("Content-Type", "text/plain;charset=UTF-8")

SHOWING = (
    f"{_AT}/versions",
    f"{_AT}/versions?deployable=true",
    f"{_AT}/settings",
    f"{_AT}/bindings",
    f"{_AT}/script-settings",
    f"{_AT}/deployments",
    f"{_AT}/references",
    f"{_AT}/schedules",
    f"{_AT}/subdomain",
    f"{_AT}/content/v2",
    f"{_ACCOUNT}/workers/scripts-search",
    f"{_ACCOUNT}/workers/workers",
    _WORKER,
    f"{_WORKER}/versions",
    f"{_WORKER}/versions/latest?include=modules",
    f"{_ACCOUNT}/workers/services/doors",
    _SERVICE,
    f"{_SERVICE}/settings",
    f"{_SERVICE}/bindings",
    f"{_SERVICE}/secrets",
    f"{_NAMESPACES}/doors/scripts",
    _DISPATCHED,
    f"{_DISPATCHED}/settings",
    f"{_DISPATCHED}/bindings",
    f"{_DISPATCHED}/secrets",
    f"{_DISPATCHED}/content",
    f"{_ACCOUNT}/pages/projects",
    _PROJECT,
    STORES,
    f"{_ACCOUNT}/secrets_store/quota",
)
"""Paths whose answers show something of what was planted."""

Ask = Callable[[Any], Answer]


def plant_beside_scripts(wire: Wire, canaries: Canaries) -> None:
    """Send values in every way."""
    assert wire.upload("doors", _text("S", canaries), _key("K", canaries)).status == 200
    _plant_in_settings(wire, canaries)
    _plant_in_versions(wire, canaries)
    _plant_in_json_versions(wire, canaries)
    _plant_in_previews(wire, canaries)
    _plant_in_environments(wire, canaries)
    _plant_in_namespaces(wire, canaries)
    _plant_in_projects(wire, canaries)
    _plant_in_stores(wire, canaries)


def kept_beside_scripts(safe: Safe, store_id: str) -> list[dict[str, str]]:
    """Return the values that delivery can open, for each place."""
    return [
        opened(safe, "doors"),
        opened(safe, "doors-staging"),
        opened(safe, "user", "doors"),
        opened_held(safe, Kind.SCRIPT, "doors"),
        opened_held(safe, Kind.PAGES_PROJECT, "doors", "production"),
        opened_held(safe, Kind.PAGES_PROJECT, "doors", "preview"),
        opened_stored(safe, store_id),
    ]


def _text(name: str, canaries: Canaries, **changed: object) -> dict[str, Any]:
    """Return a secret text with a new value."""
    return {"type": "secret_text", "name": name, "text": canaries.text(), **changed}


def _key(name: str, canaries: Canaries, key_format: str = "jwk", **changed: object) -> dict[str, Any]:
    """Return a secret key with a new value."""
    return {"name": name, **canaries.key(key_format), **changed}


def _bad_bindings(canaries: Canaries) -> list[list[Any]]:
    """Return lists of a valid binding and one that is refused."""
    wrong: list[Any] = [
        _text("X", canaries, text=canaries.text() * 200),
        _text("X", canaries, text=[canaries.text()]),
        _text("X", canaries, type="secret"),
        _text("X", canaries, type=canaries.text()),
        _text("", canaries),
        _text("S", canaries),
        _key("X", canaries, usages=["encrypt"]),
        _key("X", canaries, "raw", key_base64=canaries.text() + "!"),
        _key("X", canaries, algorithm={"name": canaries.text()}),
        {"type": "plain_text", "name": "X", "value": canaries.text()},
        {"type": "inherit", "name": "NONE", "old_name": "NONE-2", "text": canaries.text()},
        canaries.text(),
    ]
    return [[_text("S", canaries), binding] for binding in wrong]


def _loose_members(canaries: Canaries) -> list[Any]:
    """Return valid bindings with members that do not belong to them."""
    return [
        {"type": "kv_namespace", "name": "KV", "namespace_id": "1", "text": canaries.text()},
        {"type": "service", "name": "SERVICE", "service": "doors", "secret": canaries.text()},
        _text("LOOSE", canaries, value=canaries.text(), key_base64=canaries.text()),
    ]


def _plant_by_form(ask: Ask, canaries: Canaries, **fields: object) -> None:
    """Send values as bindings in a form's metadata or settings: accepted, and refused in each way."""
    good = [_text("S", canaries), _text("T", canaries), _key("K", canaries, "pkcs8"), *_loose_members(canaries)]
    assert ask({"bindings": good, **fields}).status == 200
    assert ask({"bindings": [_text("S", canaries)], **fields, "more": canaries.text()}).status == 200
    for bindings in _bad_bindings(canaries):
        assert ask({"bindings": bindings, **fields}).status == 400
    assert ask({"bindings": _text("S", canaries), **fields}).status == 400
    assert ask([_text("S", canaries)]).status == 400
    assert ask(canaries.text()).status == 400


def _plant_by_secrets(wire: Wire, canaries: Canaries, at: str) -> None:
    """Send values to `secrets` and `secrets-bulk` below a path: put, patched, refused, deleted."""
    new = canaries.text
    for _ in range(2):
        assert wire.send("PUT", f"{at}/secrets", _text("P", canaries)).status == 200
    assert wire.send("PUT", f"{at}/secrets", _key("Q", canaries, "raw")).status == 200
    assert wire.send("PUT", f"{at}/secrets", _text("P", canaries, text=new() * 200)).status == 400
    assert wire.send("PUT", f"{at}/secrets", _text("P", canaries, type=new())).status == 400
    for content_type in (JSON, MERGE_PATCH):
        patch = {"P": _text("P", canaries), "R": {"type": "secret_text", "text": new()}}
        assert wire.send("PATCH", f"{at}/secrets-bulk", {"secrets": patch}, content_type).status == 200
        assert wire.send("PATCH", f"{at}/secrets-bulk", {"secrets": {"P": new()}}, content_type).status == 400
        bad = {"P": _text("P", canaries), "R": _text("R", canaries, text=[new()])}
        assert wire.send("PATCH", f"{at}/secrets-bulk", {"secrets": bad}, content_type).status == 400
    assert wire.ask("DELETE", f"{at}/secrets/R").status == 200


def _plant_in_settings(wire: Wire, canaries: Canaries) -> None:
    """Send values in a PATCH of a script's settings of both levels."""
    _plant_by_form(lambda value: send_form(wire, "PATCH", f"{_AT}/settings", "settings", value), canaries)
    assert send_form(wire, "PATCH", f"{_AT}/settings", "other", {"bindings": [_text("S", canaries)]}).status == 400
    assert wire.send("PATCH", f"{_AT}/settings", {"bindings": [_text("S", canaries)]}).status == 400
    assert wire.send("PATCH", f"{_AT}/script-settings", {"logpush": True, "text": canaries.text()}).status == 200
    assert wire.send("PATCH", f"{_AT}/script-settings", {"logpush": canaries.text()}).status == 400
    assert wire.send("PUT", f"{_AT}/schedules", [{"cron": canaries.text()}]).status == 400
    assert wire.send("POST", f"{_AT}/subdomain", {"enabled": canaries.text()}).status == 400
    assert wire.send("PUT", f"{_AT}/usage-model", {"usage_model": canaries.text()}).status == 400


def _plant_in_versions(wire: Wire, canaries: Canaries) -> None:
    """Send values in a POST of a version, then deploy the versions."""

    def post(value: Any) -> Answer:
        """Create a version."""
        return send_form(wire, "POST", f"{_AT}/versions?bindings_inherit=strict", "metadata", value)

    _plant_by_form(post, canaries, main_module="worker.js")
    assert send_form(wire, "PUT", f"{_AT}/content", "metadata", [_text("S", canaries)]).status == 400
    for change in ([], [{"version_id": canaries.text(), "percentage": 100}], canaries.text()):
        body = {"strategy": "percentage", "versions": change}
        assert wire.send("POST", f"{_AT}/deployments", body).status == 400
    _refuse_while_split(wire, canaries)
    _serve_newest(wire)
    _plant_by_secrets(wire, canaries, _AT)


def _refuse_while_split(wire: Wire, canaries: Canaries) -> None:
    """Send values in each way that is refused while the newest version is not deployed."""
    assert wire.send("PUT", f"{_AT}/secrets", _text("S", canaries)).refusal == (400, [10215])
    patch = {"secrets": {"S": _text("S", canaries)}}
    assert wire.send("PATCH", f"{_AT}/secrets-bulk", patch).refusal == (400, [10215])
    settings = {"bindings": [_text("S", canaries)]}
    assert send_form(wire, "PATCH", f"{_AT}/settings", "settings", settings).refusal == (400, [10214])


def _serve_newest(wire: Wire) -> None:
    """Deploy the oldest version with `force`, then the newest."""
    versions = wire.ask("GET", f"{_AT}/versions?deployable=true").result["items"]
    for version in (versions[-1], versions[0]):
        share = {"version_id": version["id"], "percentage": 100}
        body = {"strategy": "percentage", "versions": [share]}
        assert wire.send("POST", f"{_AT}/deployments?force=true", body).status == 200


def _plant_in_json_versions(wire: Wire, canaries: Canaries) -> None:
    """Send values in versions in JSON, and in a patch of the newest one."""
    module = {"name": "worker.js", "content_type": "application/javascript+module", "content_base64": "MTs="}

    def post(value: Any) -> Answer:
        """Create a version and deploy it."""
        return wire.send("POST", f"{_WORKER}/versions?deploy=true", value)

    _plant_by_form(post, canaries, main_module="worker.js", modules=[module])
    assert (
        post({"main_module": "worker.js", "modules": [{**module, "content_base64": canaries.text() + "!"}]}).status
        == 400
    )
    latest = f"{_WORKER}/versions/latest"
    _plant_in_env(lambda env: wire.send("PATCH", latest, {"env": env}, MERGE_PATCH), canaries)
    other = {"env": {"S": _text("S", canaries)}, "modules": [canaries.text()]}
    assert wire.send("PATCH", latest, other, MERGE_PATCH).status == 400
    _serve_newest(wire)


def _plant_in_env(ask: Ask, canaries: Canaries) -> None:
    """Send values as members of an `env`: put, replaced, refused beside valid ones, deleted."""
    for _ in range(2):
        assert (
            ask({"S": _text("S", canaries), "Q": _key("Q", canaries), "GONE": _text("GONE", canaries)}).status == 200
        )
    for wrong in (
        {"type": "secret_text", "text": [canaries.text()]},
        {"type": "secret_text", "text": canaries.text() * 200},
        {"type": canaries.text(), "text": canaries.text()},
        _key("X", canaries, usages=["encrypt"]),
        canaries.text(),
    ):
        assert ask({"S": _text("S", canaries), "X": wrong}).status == 400
    assert ask(canaries.text()).status == 400
    assert ask({"GONE": None}).status == 200


def _plant_in_previews(wire: Wire, canaries: Canaries) -> None:
    """Send values in the previews' base configuration, under both of its names, and in previews."""
    for member in ("previews_base_config", "preview_defaults"):

        def patch(env: Any, member: str = member) -> Answer:
            """Merge this into the Worker."""
            return wire.send("PATCH", _WORKER, {member: {"env": env}}, MERGE_PATCH)

        _plant_in_env(patch, canaries)
    env = {"env": {"S": _text("S", canaries)}}
    assert wire.send("PATCH", _WORKER, {"previews_base_config": env, "preview_defaults": env}).status == 400
    assert wire.send("PUT", _WORKER, {"logpush": canaries.text()}).status == 400
    for path in ("previews", "previews/p"):
        assert wire.send("PATCH", f"{_WORKER}/{path}", env, MERGE_PATCH).status in {400, 405}
    latest = f"{_WORKER}/previews/p/deployments/latest"
    _plant_in_env(lambda given: wire.send("PATCH", latest, {"env": given}, MERGE_PATCH), canaries)


def _plant_in_environments(wire: Wire, canaries: Canaries) -> None:
    """Send values in an environment of a service."""
    described = {"main_module": "worker.js", "bindings": [_text("S", canaries)]}
    assert wire.send("PUT", f"{_SERVICE}/secrets", _text("S", canaries)).status == 404
    assert send_form(wire, "PUT", _SERVICE, "metadata", described).status == 200
    _plant_by_form(lambda value: send_form(wire, "PATCH", f"{_SERVICE}/settings", "settings", value), canaries)
    _plant_by_secrets(wire, canaries, _SERVICE)


def _plant_in_namespaces(wire: Wire, canaries: Canaries) -> None:
    """Send values in a script of a dispatch namespace, and in one that does not exist."""
    nowhere = _DISPATCHED.replace("/doors/", "/nowhere/")
    assert wire.send("POST", _NAMESPACES, {"name": [canaries.text()]}).status == 400
    assert wire.send("POST", _NAMESPACES, {"name": "doors", "more": canaries.text()}).status == 200
    assert wire.send("PUT", f"{_DISPATCHED}/secrets", _text("S", canaries)).status == 404
    assert wire.send("PUT", f"{nowhere}/secrets", _text("S", canaries)).status == 404

    def put(value: Any) -> Answer:
        """Upload the script."""
        return send_form(wire, "PUT", f"{_DISPATCHED}?bindings_inherit=strict", "metadata", value)

    _plant_by_form(put, canaries, main_module="worker.js")
    _plant_by_form(lambda value: send_form(wire, "PATCH", f"{_DISPATCHED}/settings", "settings", value), canaries)
    _plant_by_secrets(wire, canaries, _DISPATCHED)
    assert wire.send("PUT", f"{_DISPATCHED}/tags", {"text": canaries.text()}).status == 400


def _plant_in_projects(wire: Wire, canaries: Canaries) -> None:
    """Send values in variables of a Pages project, with JSON as its own type and as plain text."""
    new = canaries.text

    def body(variable: object, environment: str = "production") -> dict[str, Any]:
        """Return a project with a secret variable and another variable."""
        variables = {"S": {"type": "secret_text", "value": new(), "more": new()}, "X": variable}
        return {"deployment_configs": {environment: {"env_vars": variables}}, "more": new()}

    def patch(value: object, header: tuple[str, str] = JSON) -> Answer:
        """Edit the project."""
        return wire.send("PATCH", _PROJECT, value, header)

    made = {"name": "doors", "production_branch": "main", **body(None)}
    assert wire.send("POST", _PROJECT.removesuffix("/doors"), made).status == 200
    for header in (JSON, _PLAIN_JSON):
        assert patch(body({"type": "secret_text", "value": new()}), header).status == 200
        assert patch(body(None, "preview"), header).status == 200
        for wrong in (
            {"type": "secret_text", "value": [new()]},
            {"type": "secret_text", "value": new() * 200},
            {"type": new(), "value": new()},
            {"type": "secret_text", "text": new()},
            new(),
        ):
            assert patch(body(wrong, "preview"), header).status == 400
        assert patch(new(), header).status == 400
        assert patch({"name": new(), **body(None)}, header).status == 400
    assert wire.send("PATCH", f"{_PROJECT}-absent", body(None)).status == 404
    assert wire.send("POST", f"{_PROJECT}/deployments", body(None)).status == 400


def _plant_in_stores(wire: Wire, canaries: Canaries) -> None:
    """Send values in secrets of a Secrets Store: created, changed, duplicated, refused, deleted."""
    new = canaries.text

    def secret(name: str, **changed: object) -> dict[str, Any]:
        """Return a secret to create."""
        return {"name": name, "value": new(), "scopes": ["workers"], "comment": "shown", "more": new(), **changed}

    assert wire.send("POST", STORES, {"name": [new()]}).status == 400
    at = f"{STORES}/{wire.send('POST', STORES, {'name': 'doors', 'value': new()}).result['id']}/secrets"
    made = wire.send("POST", at, [secret("A"), secret("B")], _PLAIN_JSON).result
    first = f"{at}/{made[0]['id']}"
    for wrong in (
        secret("C", value=[new()]),
        secret("C", value=new() * 2000),
        secret("C", scopes=[new()]),
        secret("C", comment=[new()]),
        secret(new()),
        secret("A"),
        new(),
    ):
        assert wire.send("POST", at, [secret("D"), wrong]).status == 400
    assert wire.send("POST", at, secret("C")).status == 400
    assert wire.send("PATCH", first, {"value": new(), "comment": "changed"}).status == 200
    assert wire.send("PATCH", first, {"value": [new()]}).status == 400
    assert wire.send("PATCH", first, {"value": new() * 2000}).status == 400
    assert wire.send("PATCH", first, {"value": new(), "scopes": new()}).status == 400
    assert wire.send("PATCH", f"{at}/{'0' * 32}", {"value": new()}).status == 404
    twin = wire.send("POST", f"{first}/duplicate", secret("TWIN"))
    assert wire.ask("GET", f"{at}/{twin.result['id']}").status == 200
    assert wire.send("POST", f"{first}/duplicate", secret("A")).status == 400
    assert wire.send("DELETE", at, [{"id": made[1]["id"], "value": new()}]).status == 200
    assert wire.send("DELETE", at, [{"id": new()}]).status == 404
    assert wire.ask("GET", f"{at}?search=a").status == 200
