"""How a version is named, and versions with other secrets that nobody serves."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.api.tools.driver import sealing_safe

from nightsafe.bindings.parse import parse_secret
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.grants import Grants
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller, change
from nightsafe.services.delivery.admission import Admission, Delivered
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.limits import Limits
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.scripts import Scripts
from nightsafe.services.scripts.upload import parse_upload
from nightsafe.services.secrets.secrets import Patch
from nightsafe.services.versions.versions import Versions, parse_version_id
from nightsafe.store.changes import Change
from nightsafe.store.script_edit import ScriptEdit, Stamp
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore

REF = ScriptRef("023e105f4ecef8ad9ca31a8372d0c353", "worker")
LIMITS = Limits(max_variables=2)
CALLER = Caller(Principal(kind="token", id="t", user_id="u", email="a@example.com", grants=Grants([])))
IDS = [
    "aaaaaaaa-0000-4000-8000-000000000001",
    "aaaaaaaa-0000-4000-8000-000000000002",
    "bbbbbbbb-0000-4000-8000-000000000000",
]


def numbered(version_id: str) -> Change:
    """A change that makes a version with this UUID."""
    stamp = Stamp(
        version_id=uuid.UUID(version_id).bytes, deployment_id=b"", source="api", triggered_by="secret", author_id="u",
        author_email="a@example.com",
    )  # fmt: skip
    return change(CALLER, "versions.secrets", ScriptEdit(ref=REF, stamp=stamp, always=True))


def patch(*secrets: tuple[str, str], drop: tuple[str, ...] = ()) -> Patch:
    """A patch that sets texts and drops names."""
    made = [parse_secret({"name": name, "type": "secret_text", "text": value}) for name, value in secrets]
    return Patch(tuple(made), drop, b'{"workers/message":"why"}')


def door_of(store: SqliteStore) -> Admission:
    """One that lets everything in."""
    return Admission(store, ChangeFeed(store, Bundles(store, sealing_safe())), CodeChecks(), Delivered())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with one script that has a secret, `S`, and a variable, `P`."""
    store = SqliteStore.open(tmp_path / "store.db", create=True)
    bindings = [{"name": "S", "type": "secret_text", "text": "x"}, {"name": "P", "type": "plain_text", "text": "x"}]
    parsed = parse_upload(
        {"main_module": "a.js", "bindings": bindings},
        [Part("a.js", "application/javascript+module", b"1")],
        LIMITS,
        in_force=True,
    )
    await Scripts(store, sealing_safe(), LIMITS, door_of(store)).upload(CALLER, REF, parsed, strict=False)
    yield store
    await store.close()


@pytest.fixture
def versions(store: SqliteStore) -> Versions:
    """The use cases over it."""
    return Versions(store, sealing_safe(), LIMITS, door_of(store))


async def test_a_version_goes_by_the_beginning_of_its_id(store: SqliteStore, versions: Versions) -> None:
    """By its id, by eight digits or more that no other begins with, in any case, or as `latest`."""
    for version_id in IDS:
        await store.commit(numbered(version_id))

    found = {
        wanted: (await versions.find(REF, wanted)).number
        for wanted in ("latest", IDS[0], IDS[1][:-1] + "2", IDS[2][:8], IDS[2][:9], IDS[2][:20].upper())
    }

    assert [4, 2, 3, 4, 4, 4] == list(found.values())


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (IDS[0][:8], Code.INVALID),
        (IDS[0][:-1], Code.INVALID),
        ("cccccccc", Code.VERSION_NOT_FOUND),
        (str(uuid.UUID(int=5)), Code.VERSION_NOT_FOUND),
        ("bbbbbbb", Code.MALFORMED_PARAMETER),
        ("Latest", Code.MALFORMED_PARAMETER),
        ("", Code.MALFORMED_PARAMETER),
        (IDS[2] + "0", Code.MALFORMED_PARAMETER),
        (IDS[2].replace("-", ""), Code.VERSION_NOT_FOUND),
    ],
)
async def test_another_name_finds_none(store: SqliteStore, versions: Versions, wanted: str, code: Code) -> None:
    """One that several have, that none has, or that is no beginning of a UUID as it is written."""
    for version_id in IDS:
        await store.commit(numbered(version_id))

    with pytest.raises(NightsafeError) as refusal:
        await versions.find(REF, wanted)

    assert code == refusal.value.code


async def test_names_of_an_absent_script(versions: Versions) -> None:
    """The script comes first, whatever is asked of it."""
    absent = ScriptRef(REF.account_id, "absent")
    for wanted in ("latest", "x", IDS[0]):
        with pytest.raises(NightsafeError) as refusal:
            await versions.find(absent, wanted)
        assert Code.SCRIPT_NOT_FOUND == refusal.value.code


def test_only_the_usual_form_is_an_id() -> None:
    """36 characters with four hyphens, which the whole `uuid` module is more generous about."""
    assert uuid.UUID(IDS[0]).bytes == parse_version_id(IDS[0].upper())
    for bad in ("", IDS[0][1:], "{" + IDS[0] + "}", IDS[0].replace("-", ""), "g" + IDS[0][1:]):
        with pytest.raises(NightsafeError) as refusal:
            parse_version_id(bad, "version")
        assert (Code.MALFORMED_PARAMETER, "version") == (refusal.value.code, refusal.value.problems[0].detail)


async def test_patched_secrets_wait_in_a_version(store: SqliteStore, versions: Versions) -> None:
    """It is made over whatever is newest and served by nobody; one that drops nothing there is a version as well."""
    served = await store.deployments(REF)

    first = await versions.patch_secrets(CALLER, REF, patch(("T", "y"), drop=("S",)))
    second = await versions.patch_secrets(CALLER, REF, patch(drop=("NONE",)))

    assert (2, 3, "secret") == (first.number, second.number, first.triggered_by)
    assert {"workers/message": "why"} == json.loads(first.annotations)
    assert ["P", "T"] == [one.name for one in await versions.bindings(REF, second)]
    assert second == await versions.latest(REF)
    assert served == await store.deployments(REF)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (patch(("P", "y")), Code.BINDING_NAME_TAKEN),
        (patch(("T", "y")), Code.TOO_MANY_BINDINGS),
    ],
)
async def test_a_patch_is_refused_as_others_are(
    store: SqliteStore, versions: Versions, wanted: Patch, code: Code
) -> None:
    """Over a variable, or past the limit: no version is made, and the values are wiped."""
    with pytest.raises(NightsafeError) as refusal:
        await versions.patch_secrets(CALLER, REF, wanted)

    assert code == refusal.value.code
    assert [0] == [len(secret.value) for secret in wanted.set]
    script = await store.script(REF)
    assert script is not None
    assert script.version == 1
