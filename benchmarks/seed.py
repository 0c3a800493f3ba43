"""Builds the database for the measurements through the store, and keeps it for the next run.

Its records are real but few: to seal a million would take minutes, and no read opens a record. So each row gets the
bytes of a record from a small pool.
"""

import asyncio
import hashlib
import random
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.settings import ACCOUNT_ID, CACHE, PER_SCRIPT, VALUE
from benchmarks.traffic import NAMES, SCRIPT, SECRET
from msgspec.structs import replace

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.bindings.model import SecretText
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.secret_value import SecretValue
from nightsafe.services.caller import now
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import BindingsUpdate, ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Binding, Module, ScriptRef, Upload
from nightsafe.store.sqlite.engine.schema import migrations

_BATCH = 512
_POOL = 64
_FORMAT = 1
_SOURCE = b"export default {}"
_MODULE = Module("worker.js", "application/javascript+module", hashlib.sha256(_SOURCE).digest(), _SOURCE)


def seeded(secrets: int) -> Path:
    """Return a cached or new directory with a data directory `safe` of this many secrets, and a file `token`."""
    schema = hashlib.sha256("".join(migrations()).encode()).hexdigest()[:12]
    place = CACHE / f"seed-{_FORMAT}-{schema}-{secrets}"
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"building a database of {secrets:,} secrets, once ...", flush=True)
        building = Path(tempfile.mkdtemp(prefix=".seed-", dir=CACHE))
        try:
            asyncio.run(_build(building, secrets // PER_SCRIPT))
            building.rename(place)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return place


def working_copy(secrets: int, place: Path) -> tuple[DataDirectory, str]:
    """Make a copy for the measurements, which may alter it. Return it with its token."""
    source = seeded(secrets)
    shutil.copytree(source / "safe", place)
    return DataDirectory(place), (source / "token").read_text()


async def _build(place: Path, scripts: int) -> None:
    """Make the safe, its token and all scripts."""
    directory = DataDirectory(place / "safe")
    credentials = await directory.create(_account)
    (place / "token").write_text(credentials.api_token)
    store = await directory.open_store()
    try:
        await fill(store.commit, directory.safe(), scripts)
    finally:
        await store.close()


async def _account(store: Store) -> Credentials:
    """Make the account of the scripts."""
    return await create_account(store, ACCOUNT_ID, "Benchmark", "owner@nightsafe.local")


def _pool(safe: Safe) -> list[Binding]:
    """Return the records that all rows share."""
    ref = ScriptRef(ACCOUNT_ID, NAMES[SCRIPT] % 0)
    return [safe.seal(ref, SecretText(NAMES[SECRET] % 0, SecretValue(VALUE.encode()))) for _ in range(_POOL)]


async def fill(commit: Callable[[Change], Awaitable[object]], safe: Safe, scripts: int) -> None:
    """Upload each script with its secrets, hundreds in a transaction."""
    pool = _pool(safe)
    draw = random.Random(scripts)  # noqa: S311 - no secret is drawn
    for first in range(0, scripts, _BATCH):
        numbers = range(first, min(first + _BATCH, scripts))
        await asyncio.gather(*(commit(_upload(number, pool, draw)) for number in numbers))


def _upload(number: int, pool: list[Binding], draw: random.Random) -> Change:
    """Return the change that makes the n-th script."""
    at, ref = now(), ScriptRef(ACCOUNT_ID, NAMES[SCRIPT] % number)
    upload = Upload(script_id=uuid.uuid4().hex, main_module=_MODULE.name, modules=(_MODULE,))
    bindings = tuple(_bindings(pool, draw))
    edit = ScriptEdit(
        ref=ref,
        stamp=new_stamp(),
        set=bindings,
        upload=upload,
        bindings_update=BindingsUpdate(),
        settings=SettingsUpdate(b"{}"),
    )
    deed = AuditEvent(at=at, action="scripts.put", actor="0" * 32, actor_kind="operator", account_id=ACCOUNT_ID)
    return Change(at=at, audit=entry_for(deed), edit=edit)


def _bindings(pool: list[Binding], draw: random.Random) -> list[Binding]:
    """Return the secrets of one script."""
    chosen = draw.choices(pool, k=PER_SCRIPT)
    return [
        replace(one, name=name, shown=b'{"name":"%b","type":"secret_text"}' % name.encode())
        for name, one in ((NAMES[SECRET] % index, one) for index, one in enumerate(chosen))
    ]


def new_stamp() -> Stamp:
    """Return the stamp of a version and its deployment."""
    return Stamp(
        version_id=uuid.uuid4().bytes,
        deployment_id=uuid.uuid4().bytes,
        source="api",
        triggered_by="upload",
        author_id="0" * 32,
        author_email="owner@nightsafe.local",
    )
