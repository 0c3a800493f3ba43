"""Searches for values outside of the seal, and checks of the seal itself."""

import asyncio
import base64
import gc
import itertools
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.clients.canaries import CHUNK, files, forms, found
from tests.clients.planted_values import SHOWING, kept_beside_scripts
from tests.clients.wire.talk import SCRIPTS
from tests.proofs import proven_record, signed_record
from tests.security.tools.planted_server import AT, Planted
from tests.unit.api.tools.driver import ACCOUNT, Api
from tests.unit.sealing import format_reference, hpke_reference

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.delivery.key_rotation.resealed_value import BatchSealer
from nightsafe.sealing import Context, Suite
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.store.scripts import ScriptRef

LEFT = "left-{}-behind"
PLACE = Context(
    account_id="a" * 32, namespace="production", script="worker", name="TOKEN", kind="secret_text", public=b"public"
)


def test_values_are_in_no_place(planted: Planted) -> None:
    """A value is never in a log, an error, a file, an argument or an environment variable.

    No credential is in these places either, and no answer contains a value or a credential. The search covers every
    encoding that `forms` lists.
    """
    with planted.wire() as wire:
        for path in (SCRIPTS, AT, f"{AT}/settings", f"{AT}/secrets", f"{AT}/secrets/kept", "/readyz", *SHOWING):
            assert wire.ask("GET", path).status == 200, path
        heard = [*planted.answers, *wire.heard]
    answers = {f"answer {n}": repr(one.headers).encode() + one.body for n, one in enumerate(heard)}
    process = Path(f"/proc/{planted.server.pid}")
    places = (
        answers | files(planted.folder) | {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
    )
    planted.server.stop()
    places |= {f"{path} at the end": content for path, content in files(planted.folder).items()}
    planted.server.start()

    assert {"nightsafe.db", "nightsafe.db-wal", "nightsafe.db-shm", "stderr.log", "stdout.log"} <= {
        Path(place).name for place in places
    }
    assert len(planted.planted) > 500
    for kept in kept_beside_scripts(planted.safe, planted.store_id):
        assert kept
        assert {value.encode() for value in kept.values()} <= set(planted.planted)
    assert found(planted.planted, places) == []


def test_the_search_finds_plain_text(planted: Planted) -> None:
    """A value is never in a log, an error, a file, an argument or an environment variable.

    The same search finds a text that is not secret, in each form.
    """
    with planted.wire() as wire:
        wire.upload("open", {"type": "plain_text", "name": "VAR", "text": "canary-in-the-open"})
        shown = wire.ask("GET", f"{SCRIPTS}/open/settings").body
    places = {"answer": shown, **files(planted.safe.path)}

    seen = {Path(place).name for place, _ in found([b"canary-in-the-open"], places)}

    assert {"answer", "nightsafe.db-wal"} <= seen
    for number, one in enumerate(forms(b"canary-in-the-open")):
        assert found([b"canary-in-the-open"], {"place": bytes(CHUNK - 3) + one + b"after"}), number


def test_no_core_file(planted: Planted) -> None:
    """The API process writes no core file (`RLIMIT_CORE`)."""
    limits = Path(f"/proc/{planted.server.pid}/limits").read_text()

    assert ["0", "0"] == next(line for line in limits.splitlines() if "core file" in line).split()[4:6]


def test_serve_does_not_read_the_private_ring(planted: Planted) -> None:
    """`serve` never reads the private ring.

    In all calls so far, the process has not opened such a file, holds no such file open, and has not loaded a module
    that opens values.
    """
    events = planted.watched.read_text().splitlines()
    imported = {event.removeprefix("import ") for event in events if event.startswith("import ")}
    opened = {event.removeprefix("open ") for event in events if event.startswith("open ")}
    held = [path.resolve() for path in Path(f"/proc/{planted.server.pid}/fd").iterdir()]

    assert planted.safe.private_ring.exists()
    assert {"nightsafe.api.app", "nightsafe.sealing.sealer"} <= imported
    assert not imported & {"nightsafe.sealing.opener", "nightsafe.sealing.rings.private_ring"}
    assert [path for path in opened if path.endswith("signing-key.json")]
    assert not [path for path in opened if "private-ring" in path]
    assert planted.safe.database in held
    assert planted.safe.private_ring not in held


def test_no_object_keeps_a_value(api: Api) -> None:
    """A value is in the API process during one request only, from the last byte of the body until the value is
    sealed.

    After the answer, no object that Python knows of contains the value.
    """
    _bring_values(api)

    assert 0 == _left()
    assert 1 == _left([LEFT.format(0)])


def _bring_values(api: Api) -> None:
    """Put 20 values that the API accepts, and 20 that it refuses."""
    for number in range(20):
        secret = {"type": "secret_text", "name": f"LEFT_{number}", "text": LEFT.format(number)}
        assert api.put("worker", secret).status == 200
        assert api.put("worker", secret | {"type": "nothing"}).status == 400


def _left(*more: object) -> int:
    """Count the texts with a value in all objects that Python knows of, and in `more`."""
    held = itertools.chain.from_iterable(map(gc.get_referents, [*gc.get_objects(), *more]))
    texts = {id(one): one for one in held if isinstance(one, str | bytes | bytearray)}
    plain = (one if isinstance(one, str) else one.decode("latin-1") for one in texts.values())
    return sum(re.search(LEFT.format("[0-9]+"), one) is not None for one in plain)


@pytest.mark.parametrize("suite", Suite)
def test_how_values_are_sealed(suite: Suite) -> None:
    """Sealing is HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM, or the hybrid with ML-KEM-768, from the
    `cryptography` library.

    A second implementation of these algorithms opens the sealed value. There is no third suite, and no other code
    seals.
    """
    kems = {Suite.X25519: hpke_reference.X25519_KEM, Suite.HYBRID: hpke_reference.XWING_KEM}

    assert b"a value" == _opened_by_the_page(PrivateRing.generate(suite), b"a value")
    assert kems == {one: format_reference.KEMS[one.number] for one in Suite}
    assert set(Suite) == set(HPKE)
    assert {hpke.Suite} == {type(one) for one in HPKE.values()}


@pytest.mark.parametrize("suite", Suite)
def test_values_share_an_encapsulation(suite: Suite) -> None:
    """Values that are sealed within 20 milliseconds, or resealed in one batch, share one HPKE encapsulation.

    The encapsulated key is the same bytes in both values. After 20 milliseconds, another is made.
    """
    now = [0.0]
    sealer = GroupSealer(PrivateRing.generate(suite).public(), lambda *_: None, lambda: now[0])

    def group() -> bytes:
        """Return the encapsulated key and the sealed group key of a new value."""
        return SealedValue.parse(sealer.seal(PLACE, SecretValue(b"x"))).group[16:]

    batch, key = BatchSealer(), PrivateRing.generate(suite).primary.public
    resealed = [SealedValue.parse(batch.seal(key, PLACE, SecretValue(b"x"))) for _ in range(2)]
    groups = [group(), group()]
    now[0] = 0.02
    assert group() not in groups
    assert [1, 1] == [len(set(groups)), len({value.group for value in resealed})]


def test_the_server_seals_in_groups(planted: Planted) -> None:
    """Values that are sealed within 20 milliseconds, or resealed in one batch, share one HPKE encapsulation.

    The database of a real server has fewer groups than values.
    """
    with closing(sqlite3.connect(f"file:{planted.safe.database}?mode=ro", uri=True)) as db:
        values = [sealed for (sealed,) in db.execute("SELECT sealed FROM bindings WHERE sealed IS NOT NULL")]
    groups = [SealedValue.parse(sealed).group for sealed in values]

    assert len(set(groups)) < len(groups)
    assert b"" not in groups


@pytest.mark.parametrize("suite", Suite)
def test_each_value_has_its_own_key(suite: Suite) -> None:
    """Each value has an AES-256-GCM key of its own.

    The second implementation derives the keys of two equal values of one place and group: each opens its own value
    only.
    """
    ring = PrivateRing.generate(suite)
    sealer = GroupSealer(ring.public(), lambda *_: None)
    first, second = (sealer.seal(PLACE, SecretValue(b"same")) for _ in range(2))
    private = _read(ring.encode(), "keys", 0, "private")
    keys = [_key_of(one, private) for one in (first, second)]
    bodies = [SealedValue.parse(one).body for one in (first, second)]

    assert [32, 32] == [len(key) for key in keys]
    for key, body, others in zip(keys, bodies, reversed(bodies), strict=True):
        assert AESGCM(key).decrypt(bytes(12), body, b"").startswith(b"same\x80")
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(bytes(12), others, b"")


def _key_of(sealed: bytes, private: bytes) -> bytes:
    """Return the key of a value, as the second implementation derives it."""
    value = SealedValue.parse(sealed)
    key_id = bytes.fromhex(value.key_id)
    kem, info = format_reference.KEMS[value.suite.number], format_reference.group_info(key_id, value.group_id)
    group_key = hpke_reference.open_(kem, private, info, value.group[16:])
    return format_reference.value_key(_place(), value.value_id, key_id, value.group_id, group_key)


async def test_the_key_of_a_group_is_overwritten(planted: Planted) -> None:
    """The API process overwrites the key of such a group after 20 milliseconds, even if no other value follows.

    The sealer is made from the key files as the server makes it, with the timer of the event loop.
    """
    loop, later = asyncio.get_running_loop(), asyncio.Event()
    directory = DataDirectory(planted.safe.path)
    store = await directory.open_store()
    try:
        safe = await directory.safe_for(store)
        safe.seal_stored(ScriptRef(ACCOUNT, "store", "store:"), "S", "id", SecretValue(b"x"))
        group = _group_of(safe)
        assert 32 == len(group.key)
        loop.call_later(0.02, later.set)
        await later.wait()
        assert 0 == len(group.key)
    finally:
        await store.close()


def _group_of(holder: object) -> Any:
    """Return the present group of a sealer, which is somewhere below an object."""
    for name in ("_sealer", "_sealer", "_sealer", "_group"):
        holder = getattr(holder, name)
    return holder


@pytest.mark.parametrize("suite", Suite)
def test_lengths_are_hidden(suite: Suite) -> None:
    """Values are padded, so that their lengths do not show.

    All values of up to 63 bytes give records of one length; above 1 KiB, the length of a record shows the length of
    the value to within an eighth.
    """
    sealer = SigningSealer(PrivateRing.generate(suite).public(), SigningKey.generate())

    def sealed(size: int) -> int:
        """Return the length of the record of a value with this many bytes."""
        return len(sealer.seal(PLACE, SecretValue(bytes(size))))

    assert 1 == len({sealed(size) for size in range(64)})
    assert 1 == len({sealed(size) for size in range(64, 128)})
    assert len({sealed(size) for size in range(50_000, 60_000, 100)}) < 12
    assert max(Counter(map(sealed, range(64, 1024))).values()) == 64


@pytest.mark.parametrize("suite", Suite)
def test_the_format_is_documented(suite: Suite) -> None:
    """[docs/sealed-format.md](docs/sealed-format.md) is the whole format.

    An implementation written from that page alone opens the API's records, and the delivery process opens its
    records.
    """
    ring, key = PrivateRing.generate(suite), SigningKey.generate()
    signer = _read(key.encode(), "private")
    recipe = format_reference.Recipe(
        _place(), suite.number, _read(ring.encode(), "keys", 0, "private"), signer, bytes(16), bytes(range(32)), b""
    )
    record = recipe.holding(b"of theirs").record()

    group = format_reference.Group(suite.number, recipe.private, bytes(range(32)), bytes(16), bytes(range(1, 33)))
    grouped = format_reference.GroupedRecipe(_place(), group, signer, bytes(16), b"").holding(b"of a group").record()
    opener = RecordOpener(VerifyKeys([key.verify_key]), ring)

    assert b"of ours" == _opened_by_the_page(ring, b"of ours")
    assert [b"of theirs", b"of a group"] == [opener.open(PLACE, one).reveal() for one in (record, grouped)]
    assert "import nightsafe" not in Path(format_reference.__file__).read_text()
    assert "from nightsafe" not in Path(format_reference.__file__).read_text()


def _opened_by_the_page(ring: PrivateRing, value: bytes) -> bytes:
    """Seal a value with Nightsafe, and open its record of either version with the reference implementation."""
    key = SigningKey.generate()
    sealed = SigningSealer(ring.public(), key).seal(PLACE, SecretValue(value))
    private = _read(ring.encode(), "keys", 0, "private")
    found = {
        format_reference.open_(_place(), form(key, PLACE, sealed), private, key.verify_key.public)
        for form in (proven_record, signed_record)
    }
    assert 1 == len(found)
    return found.pop()


def _read(file: bytes, *path: str | int) -> bytes:
    """Return a key from a key file."""
    at: Any = json.loads(file)
    for member in path:
        at = at[member]
    return base64.b64decode(at)


def _place() -> format_reference.Place:
    """Return PLACE in the type of the reference implementation."""
    return format_reference.Place(*(getattr(PLACE, field) for field in PLACE.__struct_fields__))
