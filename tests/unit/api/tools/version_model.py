"""What versions, deployments and rollbacks promise, as lists: one `Line` a script, and what each request comes to."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from tests.unit.api.tools.model import Expected

Traffic = tuple[tuple[int, float], ...]
"""Numbers of versions with their percentages."""


class Made(Struct, frozen=True):
    """A version.

    Attributes:
        secrets: which write each secret's value is of, by name.
        date: the compatibility date.
        trigger: what made it.
    """

    secrets: Mapping[str, int]
    date: str
    trigger: str


class Served(Struct, frozen=True):
    """A deployment."""

    traffic: Traffic
    trigger: str


class Line:
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
        """Whether the newest version is the only one that is served."""
        return self.deployments[-1].traffic == ((len(self.versions), 100),)

    def make(self, secrets: Mapping[str, int], date: str, trigger: str, *, deployed: bool) -> None:
        """Add a version, and its deployment."""
        self.versions.append(Made(secrets, date, trigger))
        if deployed:
            self.deployments.append(Served(((len(self.versions), 100),), trigger))

    def written(self, put: Sequence[str], gone: Sequence[str]) -> dict[str, int]:
        """The newest secrets after these are written anew and those are gone."""
        kept = {name: write for name, write in self.newest.secrets.items() if name not in gone}
        for name in put:
            self.writes += 1
            kept[name] = self.writes
        return kept

    def write(self, put: Sequence[str], gone: Sequence[str], *, deployed: bool) -> Expected | None:
        """Write secrets in one version; None when it is done."""
        if deployed and not self.is_live:
            return Expected(400, [10215])
        if deployed and not put and not set(gone) & self.newest.secrets.keys():
            return None
        self.make(self.written(put, gone), self.newest.date, "secret", deployed=deployed)
        return None

    def upload(self, put: Sequence[str], keep: Sequence[str], date: str, *, deployed: bool) -> None:
        """New code with some secrets of its own; of the others those stay that are kept."""
        gone = [name for name in self.newest.secrets if name not in keep]
        self.make(self.written(put, gone), date, "upload" if deployed else "version_upload", deployed=deployed)

    def configure(self, date: str) -> Expected | None:
        """Change a setting of the version; None when it is done."""
        if not self.is_live:
            return Expected(400, [10214])
        self.make(self.newest.secrets, date, "settings", deployed=True)
        return None

    def deploy(self, traffic: Traffic, *, force: bool) -> Sequence[str]:
        """Serve these versions, unless that would bring other secrets back; gives the names of those."""
        newest, served = (max(number for number, _ in one) for one in (traffic, self.deployments[-1].traffic))
        goes_back = newest < served
        changed = self._changed(newest, served) if goes_back and not force else []
        if not changed:
            self.deployments.append(Served(traffic, "rollback" if goes_back else "deployment"))
        return changed

    def _changed(self, one: int, other: int) -> list[str]:
        """Names of the secrets that two versions do not have alike."""
        then, now = (self.versions[number - 1].secrets for number in (one, other))
        return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


def bindings_of(made: Made) -> list[dict[str, Any]]:
    """What reads show of a version's bindings."""
    return [{"name": name, "type": "secret_text"} for name in sorted(made.secrets)]
