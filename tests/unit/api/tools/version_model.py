"""A model of versions, deployments and rollbacks: one `ScriptHistory` for each script, and the expected answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from tests.unit.api.tools.model import Expected

Traffic = tuple[tuple[int, float], ...]
"""Numbers of versions with their percentages."""


class Made(Struct, frozen=True):
    """A version.

    Attributes:
        secrets: number of the write that set each secret's value, by name.
        date: the compatibility date.
        trigger: the kind of write that made the version.
    """

    secrets: Mapping[str, int]
    date: str
    trigger: str


class Served(Struct, frozen=True):
    """A deployment."""

    traffic: Traffic
    trigger: str


class ScriptHistory:
    """A script's versions and deployments, oldest first."""

    def __init__(self, date: str) -> None:
        self.versions: list[Made] = []
        self.deployments: list[Served] = []
        self.writes = 0
        self.make({}, date, "upload", deployed=True)

    @property
    def newest(self) -> Made:
        """The newest version."""
        return self.versions[-1]

    @property
    def is_live(self) -> bool:
        """Whether the newest version is deployed alone."""
        return self.deployments[-1].traffic == ((len(self.versions), 100),)

    def make(self, secrets: Mapping[str, int], date: str, trigger: str, *, deployed: bool) -> None:
        """Add a version, and its deployment."""
        self.versions.append(Made(secrets, date, trigger))
        if deployed:
            self.deployments.append(Served(((len(self.versions), 100),), trigger))

    def written(self, put: Sequence[str], gone: Sequence[str]) -> dict[str, int]:
        """Return the newest secrets after a write that sets `put` and deletes `gone`."""
        kept = {name: write for name, write in self.newest.secrets.items() if name not in gone}
        for name in put:
            self.writes += 1
            kept[name] = self.writes
        return kept

    def write(self, put: Sequence[str], gone: Sequence[str], *, deployed: bool) -> Expected | None:
        """Write secrets in one version; return a refusal or None."""
        if deployed and not self.is_live:
            return Expected(400, [10215])
        if deployed and not put and not set(gone) & self.newest.secrets.keys():
            return None
        self.make(self.written(put, gone), self.newest.date, "secret", deployed=deployed)
        return None

    def upload(self, put: Sequence[str], keep: Sequence[str], date: str, *, deployed: bool) -> None:
        """Upload code with new secrets; of the others only those in `keep` stay."""
        gone = [name for name in self.newest.secrets if name not in keep]
        self.make(self.written(put, gone), date, "upload" if deployed else "version_upload", deployed=deployed)

    def configure(self, date: str) -> Expected | None:
        """Change a setting of the version; return a refusal or None."""
        if not self.is_live:
            return Expected(400, [10214])
        self.make(self.newest.secrets, date, "settings", deployed=True)
        return None

    def deploy(self, traffic: Traffic, *, force: bool) -> Sequence[str]:
        """Deploy these versions, unless this would change secrets back; return the names of such secrets."""
        newest, served = (max(number for number, _ in shares) for shares in (traffic, self.deployments[-1].traffic))
        goes_back = newest < served
        changed = self._changed(newest, served) if goes_back and not force else []
        if not changed:
            self.deployments.append(Served(traffic, "rollback" if goes_back else "deployment"))
        return changed

    def _changed(self, first: int, second: int) -> list[str]:
        """Return the names of the secrets in which two versions differ."""
        then, now = (self.versions[number - 1].secrets for number in (first, second))
        return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


def bindings_of(made: Made) -> list[dict[str, Any]]:
    """Return a version's bindings as reads show them."""
    return [{"name": name, "type": "secret_text"} for name in sorted(made.secrets)]
