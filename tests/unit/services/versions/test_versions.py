"""Names of versions, and secrets in versions that are not deployed."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores import open_store
from tests.unit.api.tools.driver import sealing_safe

from nightsafe.bindings.parse import parse_secret
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.grants import Grants
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller, script_change
from nightsafe.services.delivery.admission import Admission, DeliveryOptions
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.limits import Limits
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.scripts import Scripts
from nightsafe.services.scripts.upload import parse_upload
from nightsafe.services.secrets.secrets import SecretsPatch
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
    """Return a change that makes a version with this UUID."""
    stamp = Stamp(
        version_id=uuid.UUID(version_id).bytes, deployment_id=b"", source="api", triggered_by="secret", author_id="u",
        author_email="a@example.com",
    )  # fmt: skip
    return script_change(CALLER, "versions.secrets", ScriptEdit(ref=REF, stamp=stamp, always=True))


def patch(*secrets: tuple[str, str], drop: tuple[str, ...] = ()) -> SecretsPatch:
    """Return a patch that sets texts and drops names."""
    made = [parse_secret({"name": name, "type": "secret_text", "text": value}) for name, value in secrets]
    return SecretsPatch(tuple(made), drop, b'{"workers/message":"why"}')


def admission_over(store: SqliteStore) -> Admission:
    """Return an admission that accepts everything."""
    return Admission(store, ChangeFeed(store, Bundles(store, sealing_safe())), CodeChecks(), DeliveryOptions())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store with one script that has a secret, `S`, and a variable, `P`."""
    store = open_store(tmp_path / "store.db")
    bindings = [{"name": "S", "type": "secret_text", "text": "x"}, {"name": "P", "type": "plain_text", "text": "x"}]
    parsed = parse_upload(
        {"main_module": "a.js", "bindings": bindings},
        [Part("a.js", "application/javascript+module", b"1")],
        LIMITS,
        deployed=True,
    )
    await Scripts(store, sealing_safe(), LIMITS, admission_over(store)).upload(CALLER, REF, parsed, strict=False)
    yield store
    await store.close()


@pytest.fixture
def versions(store: SqliteStore) -> Versions:
    """Return the use cases over the store."""
    return Versions(store, sealing_safe(), LIMITS, admission_over(store))


async def test_a_version_is_found_by_a_prefix_of_its_id(store: SqliteStore, versions: Versions) -> None:
    """A version is found by its ID, by a unique prefix of eight digits or more in any case, or as `latest`."""
    for version_id in IDS:
        await store.commit(numbered(version_id))

    found = {
        name: (await versions.find(REF, name)).number
        for name in ("latest", IDS[0], IDS[1][:-1] + "2", IDS[2][:8], IDS[2][:9], IDS[2][:20].upper())
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
async def test_an_ambiguous_or_malformed_prefix_is_refused(
    store: SqliteStore, versions: Versions, wanted: str, code: Code
) -> None:
    """An ambiguous, unknown or malformed prefix finds no version."""
    for version_id in IDS:
        await store.commit(numbered(version_id))

    with pytest.raises(NightsafeError) as refusal:
        await versions.find(REF, wanted)

    assert code == refusal.value.code


async def test_versions_of_a_missing_script_are_not_found(versions: Versions) -> None:
    """For a missing script, every name of a version is refused with `SCRIPT_NOT_FOUND`."""
    absent = ScriptRef(REF.account_id, "absent")
    for wanted in ("latest", "x", IDS[0]):
        with pytest.raises(NightsafeError) as refusal:
            await versions.find(absent, wanted)
        assert Code.SCRIPT_NOT_FOUND == refusal.value.code


def test_only_the_hyphenated_form_is_an_id() -> None:
    """An ID has 36 characters with four hyphens; other forms that the `uuid` module accepts are refused."""
    assert uuid.UUID(IDS[0]).bytes == parse_version_id(IDS[0].upper())
    for bad in ("", IDS[0][1:], "{" + IDS[0] + "}", IDS[0].replace("-", ""), "g" + IDS[0][1:]):
        with pytest.raises(NightsafeError) as refusal:
            parse_version_id(bad, "version")
        assert (Code.MALFORMED_PARAMETER, "version") == (refusal.value.code, refusal.value.problems[0].detail)


async def test_patched_secrets_are_in_an_undeployed_version(store: SqliteStore, versions: Versions) -> None:
    """Patched secrets are in a new, undeployed version over the newest one, even if the patch changes none."""
    deployments = await store.deployments(REF)

    first = await versions.patch_secrets(CALLER, REF, patch(("T", "y"), drop=("S",)))
    second = await versions.patch_secrets(CALLER, REF, patch(drop=("NONE",)))

    assert (2, 3, "secret") == (first.number, second.number, first.triggered_by)
    assert {"workers/message": "why"} == json.loads(first.annotations)
    assert ["P", "T"] == [binding.name for binding in await versions.bindings(REF, second)]
    assert second == await versions.latest(REF)
    assert deployments == await store.deployments(REF)


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (patch(("P", "y")), Code.BINDING_NAME_TAKEN),
        (patch(("T", "y")), Code.TOO_MANY_BINDINGS),
    ],
)
async def test_a_refused_patch_makes_no_version(
    store: SqliteStore, versions: Versions, refused: SecretsPatch, code: Code
) -> None:
    """A refused patch makes no version, and its values are wiped."""
    with pytest.raises(NightsafeError) as refusal:
        await versions.patch_secrets(CALLER, REF, refused)

    assert code == refusal.value.code
    assert [0] == [len(secret.value) for secret in refused.set]
    script = await store.script(REF)
    assert script is not None
    assert script.version == 1
