"""A model of the API made of dictionaries: one `ScriptModel` for each script, and the expected answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.unit.api.tools.values import shown

SECRETS = frozenset({"secret_text", "secret_key"})
VARIABLES = SECRETS | {"plain_text", "json"}

Bindings = dict[str, dict[str, Any]]


class Expected(NamedTuple):
    """An expected answer: a status with the codes of a refusal, or with a result."""

    status: int
    codes: list[int]
    result: Any = None


class ScriptModel:
    """A script: its bindings as reads show them, and the trigger of each version."""

    def __init__(self) -> None:
        self.tag = ""
        self.created_on = ""
        self.metadata: dict[str, Any] = {}
        self.of_script: dict[str, Any] = {}
        self.modules: list[tuple[str, bytes]] = []
        self.bindings: Bindings = {}
        self.triggers: list[str] = []

    @property
    def secrets(self) -> list[dict[str, Any]]:
        """The script's secrets by name."""
        return [shown for _, shown in sorted(self.bindings.items()) if shown["type"] in SECRETS]


class Model:
    """An account.

    Args:
        max_variables: the most variables that a script may have.
        max_operations: the most secrets that a patch may have.
    """

    def __init__(self, max_variables: int, max_operations: int) -> None:
        self.max_variables = max_variables
        self.max_operations = max_operations
        self.scripts: dict[str, ScriptModel] = {}
        self.writes = 0

    def put(self, script: str, secret: dict[str, Any]) -> Expected:
        """PUT one secret."""
        return self._set(script, {secret["name"]: secret}, ()) or Expected(200, [], shown(secret))

    def delete(self, script: str, name: str) -> Expected:
        """DELETE one secret."""
        found = self.get(script, name)
        if found.status != 200:
            return found
        return self._set(script, {}, (name,)) or Expected(200, [])

    def get(self, script: str, name: str) -> Expected:
        """GET one secret."""
        if script not in self.scripts:
            return Expected(404, [10007])
        held = self.scripts[script].bindings.get(name)
        if held is None or held["type"] not in SECRETS:
            return Expected(404, [10056])
        return Expected(200, [], held)

    def every(self, script: str) -> Expected:
        """GET every secret."""
        if script not in self.scripts:
            return Expected(404, [10007])
        return Expected(200, [], self.scripts[script].secrets)

    def patch(self, script: str, secrets: Mapping[str, dict[str, Any] | None]) -> Expected:
        """PATCH several secrets."""
        if len(secrets) > self.max_operations:
            return Expected(400, [100160])
        changed = {name: secret for name, secret in secrets.items() if secret is not None}
        refused = self._set(script, changed, [name for name, secret in secrets.items() if secret is None])
        return refused or Expected(200, [], {secret["name"]: secret for secret in self.scripts[script].secrets})

    def _set(self, script: str, new: Bindings, gone: Sequence[str]) -> Expected | None:
        """Set and delete secrets in one version, or return a refusal."""
        model = self.scripts.get(script)
        if model is None:
            return Expected(404, [10007])
        others = [name for name in gone if model.bindings.get(name, {"type": "secret_text"})["type"] not in SECRETS]
        if others:
            return Expected(404, [10056] * len(others))
        taken = [name for name in new if model.bindings.get(name, {"type": "secret_text"})["type"] not in SECRETS]
        if taken:
            return Expected(400, [10053] * len(taken))
        dropped = {name for name in gone if self.get(script, name).status == 200}
        left = {name: held for name, held in model.bindings.items() if name not in dropped}
        left.update({name: shown(secret) for name, secret in new.items()})
        if self._too_many(model.bindings, left):
            return Expected(400, [10055])
        if new or dropped:
            self._write(model, left, "secret")
        return None

    def upload(
        self, script: str, metadata: dict[str, Any], modules: list[tuple[str, bytes]], *, strict: bool
    ) -> Expected | None:
        """PUT a script; return a refusal or None."""
        bindings = metadata.get("bindings", [])
        names = [binding["name"] for binding in bindings]
        twice = [name for at, name in enumerate(names) if name in names[:at]]
        if twice:
            return Expected(400, [10053] * len(twice))
        if script != script.lower():
            return Expected(400, [10016])
        model = self.scripts.get(script, ScriptModel())
        held = model.bindings
        inherits = {
            binding["name"]: binding.get("old_name", binding["name"])
            for binding in bindings
            if binding["type"] == "inherit"
        }
        absent = [name for name, old in inherits.items() if strict and old not in held]
        moved = [to for to, old in inherits.items() if to != old and old in held and held[old]["type"] in SECRETS]
        if absent or moved:
            return Expected(400, [10057] * len(absent + moved))
        kept = set(SECRETS) | set(metadata.get("keep_bindings") or ())
        left = {name: old for name, old in held.items() if old["type"] in kept or inherits.get(name) == name}
        left |= {to: held[old] | {"name": to} for to, old in inherits.items() if to != old and old in held}
        left |= {binding["name"]: _shown(binding) for binding in bindings if binding["type"] != "inherit"}
        if self._too_many(held, left):
            return Expected(400, [10055])
        self.scripts[script] = model
        model.metadata, model.modules = metadata, modules
        model.of_script |= {name: metadata[name] for name in ("tags", "logpush") if name in metadata}
        self._write(model, left, "upload")
        return None

    def remove(self, script: str) -> Expected:
        """DELETE a script."""
        model = self.scripts.pop(script, None)
        if model is None:
            return Expected(404, [10007])
        self.writes += 1
        return Expected(200, [], {"id": model.tag})

    def settings(self, script: str) -> Expected:
        """GET the settings of a script."""
        model = self.scripts.get(script)
        if model is None:
            return Expected(404, [10007])
        metadata = model.metadata
        return Expected(
            200,
            [],
            {
                "placement": metadata.get("placement", {}),
                "compatibility_date": metadata.get("compatibility_date") or "2021-11-02",
                "compatibility_flags": metadata.get("compatibility_flags", []),
                "usage_model": "standard",
                "tags": model.of_script.get("tags", []),
                "tail_consumers": [],
                "logpush": model.of_script.get("logpush", False),
                "annotations": {"workers/triggered_by": model.triggers[-1]},
                "bindings": [binding for _, binding in sorted(model.bindings.items())],
            },
        )

    def script(self, name: str) -> dict[str, Any]:
        """Return a script as uploads and lists show it, without its etag and modification time."""
        model = self.scripts[name]
        metadata = model.metadata
        return {
            "id": name,
            "tag": model.tag,
            "tags": model.of_script.get("tags"),
            "handlers": [],
            "has_assets": False,
            "has_modules": "body_part" not in metadata,
            "created_on": model.created_on,
            "compatibility_date": metadata.get("compatibility_date") or "2021-11-02",
            "compatibility_flags": metadata.get("compatibility_flags", []),
            "usage_model": "standard",
            "last_deployed_from": "api",
            "logpush": model.of_script.get("logpush", False),
            "observability": None,
            "tail_consumers": None,
            "placement": metadata.get("placement", {}),
        } | ({"placement_mode": metadata["placement"]["mode"]} if "placement" in metadata else {})

    def _too_many(self, before: Bindings, after: Bindings) -> bool:
        """Return whether there are more variables than the limit and than before."""
        old, new = (
            sum(binding["type"] in VARIABLES for binding in bindings.values()) for bindings in (before, after)
        )
        return old < new > self.max_variables

    def _write(self, model: ScriptModel, left: Bindings, trigger: str) -> None:
        """Record one version."""
        model.bindings = left
        model.triggers.append(trigger)
        self.writes += 1


def _shown(binding: dict[str, Any]) -> dict[str, Any]:
    """Return an uploaded binding as reads show it."""
    return shown(binding) if binding["type"] in SECRETS else binding
