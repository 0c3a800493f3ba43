"""Demonstrations of the limits in SECURITY.md: each test shows that one exists.

If a fix makes a test fail, delete the test together with the sentence in SECURITY.md.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.wire.talk import Wire
from tests.security.tools.planted_server import Planted
from tests.server import Server, make_safe, run
from tests.unit.api.delivery.test_admission import settings
from tests.unit.api.delivery.test_bundles import get
from tests.unit.api.tools.collections import events
from tests.unit.api.tools.driver import ACCOUNT, Api, keys, script_at, secret_at, secrets_of, verifier
from tests.unit.api.tools.rotation import Rotation, text
from tests.unit.api.tools.tokens import keep, row
from tests.unit.api.tools.uploads import add, items
from tests.unit.delivery.tools.witnessed_log import WitnessedLog

from nightsafe.api.http.entrance import with_rate_limits
from nightsafe.bundle.model import BundleBinding
from nightsafe.bundle.signed import open_bundle
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.source.witnesses import RequiredWitnesses
from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import policies_for
from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.derivation import NONCE, value_cipher
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.secret_value import SecretValue
from nightsafe.services.limits import Limits
from nightsafe.store.identities import Membership, User


def test_the_database_shows_metadata(planted: Planted) -> None:
    """Names, kinds, times and authors are not hidden from a reader of the database."""
    with closing(sqlite3.connect(f"file:{planted.safe.database}?mode=ro", uri=True)) as db:
        bindings = dict(db.execute("SELECT name, kind FROM bindings WHERE script = 'script'").fetchall())
        versions = db.execute("SELECT created_on, author_email FROM versions").fetchall()

    assert {"kept": "secret_text", "raw": "secret_key"}.items() <= bindings.items()
    assert planted.safe.email in {author for _, author in versions}
    assert all(created > 0 for created, _ in versions)


@pytest.mark.parametrize("way", ["settings", "version"])
def test_the_audit_log_names_only_bindings_that_are_set(own_api: Api, way: str) -> None:
    """When a change of settings or a new version replaces all bindings, the audit log names the version and the
    bindings that it set, not each secret that it removed.
    """
    went, came = text("WENT", "x"), text("CAME", "x")
    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": [went]}).status == 200
    if way == "settings":
        assert settings(own_api, {"bindings": [came]}).status == 200
    else:
        assert add(own_api, "worker", {"bindings": [came], "keep_bindings": []}).status == 200
    last = events(own_api)[-1]

    assert last["version_id"] == items(own_api, "worker")[0]["id"].replace("-", "")
    assert "CAME" in str(last)
    assert "WENT" not in str(last)


def test_older_versions_keep_their_values(rotation: Rotation) -> None:
    """A replaced or deleted secret leaves the script's newest version, but its sealed value stays in the history of
    older versions until the script is deleted, because a rollback needs it.
    """
    api = rotation.api
    assert api.send("DELETE", secret_at("worker", "T")).status == 200
    versions = api.send("GET", f"{script_at('worker')}/versions").result["items"]
    assert {"first": 1, "second": 1}.items() <= rotation.contents().items()
    assert ["K"] == [one["name"] for one in api.send("GET", secrets_of("worker")).result]

    plan = {"strategy": "percentage", "versions": [{"version_id": versions[2]["id"], "percentage": 100}]}
    assert api.json("POST", f"{script_at('worker')}/deployments?force=true", plan).status == 200
    assert "T" in {one.name for one in bindings_served(rotation)}

    assert api.send("DELETE", script_at("worker")).status == 200
    assert not {"first", "second"} & rotation.contents().keys()


def test_recent_values_open_with_the_memory_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker who reads the memory of the API process can open the values that it sealed in the last 20
    milliseconds. A copy of their key that Python has freed may stay longer, until Python needs the memory again.
    """
    ring, copies = PrivateRing.generate().public(), list[bytes]()

    def kept(size: int) -> bytes:
        """Return random bytes, and keep them as memory that is not needed yet keeps a freed copy."""
        copies.append(os.urandom(size))
        return copies[-1]

    monkeypatch.setattr("nightsafe.sealing.groups.sealer.secrets.token_bytes", kept)
    place = Context(account_id=ACCOUNT, namespace="", script="s", name="N", kind="secret_text")
    sealer = GroupSealer(ring, lambda *_: None)
    sealed = SealedValue.parse(sealer.seal(place, SecretValue(b"recent")))
    info = place.grouped_info(sealed.value_id, sealed.key_id, sealed.group_id)
    in_use = sealer._group.key if sealer._group else SecretValue(b"")
    [copy] = [one for one in copies if len(one) == 32]

    for key in (in_use, SecretValue(copy)):
        assert value_cipher(key, info).decrypt(NONCE, sealed.body, None).startswith(b"recent")
    sealer.forget()
    assert (0, 32) == (len(in_use), len(copy))


def bindings_served(rotation: Rotation) -> tuple[BundleBinding, ...]:
    """Return the script's bindings in the bundle that the delivery process gets."""
    bundle = open_bundle(get(rotation.api, "bundles/worker").body, rotation.verifier)
    return bundle.versions[0].bindings


@pytest.mark.parametrize(
    "attack",
    ["UPDATE log_head SET frontier = zeroblob(length(frontier))", "UPDATE log_nodes SET hash = zeroblob(32)"],
)
def test_writes_go_on_after_a_changed_log(tmp_path: Path, attack: str) -> None:
    """After an attacker with write access to the database has changed the log, the API still answers writes as done.
    `doctor` and `audit verify` find the change.
    """
    safe = make_safe(tmp_path)
    with Server(safe) as server, Wire.to(server) as wire:
        wire.upload("worker")
        for number in range(256):  # a whole tile
            assert 200 == wire.put("worker", "TOKEN", f"value {number}").status
        with closing(sqlite3.connect(safe.database)) as db:
            assert db.execute(attack).rowcount
            db.commit()
        assert 200 == wire.put("worker", "TOKEN", "another value").status

    for command in (("doctor",), ("audit", "verify")):
        assert 1 == run(*command, "--data", str(safe.path), cwd=tmp_path).returncode


def test_rights_outlast_a_membership(own_api: Api) -> None:
    """A token's rights are its own policies. They do not shrink when its user leaves an account: revoke the token."""
    assert own_api.upload("worker").status == 200
    member, made = User("d" * 32, "leaver@example.com", b"k" * 32, 0), new_token()
    rights = policies_for(ACCOUNT, ALL_ACCESS)
    token = row(made, rights, user_id=member.id, token_id="e" * 32)
    keep(own_api, member, Membership(ACCOUNT, member.id, rights, 0), token)
    bearer = [(b"authorization", b"Bearer " + made.encode())]
    own_api.store._anchor.execute("DELETE FROM memberships WHERE user_id = ?", (member.id,))
    own_api.restart()

    assert 200 == own_api.send("GET", secrets_of("worker"), b"", bearer, anonymous=True).status
    keep(own_api, replace(token, status="disabled"))
    assert 403 == own_api.send("GET", secrets_of("worker"), b"", bearer, anonymous=True).status


async def test_new_entries_are_taken_before_they_are_cosigned(tmp_path: Path) -> None:
    """With `--require-witness`, the delivery process takes new entries of the log for a minute before a witness has
    cosigned them.
    """
    source = WitnessedLog(keys()[1], tmp_path)
    source.grow("cosigned", 2)
    await source.ask()
    source.grow("new", 1)
    serials = Serials(tmp_path / "marks.json")
    check = LogCheck("a", source, verifier(), serials, RequiredWitnesses(1, source.keys))
    await check.check()

    assert 3 == check.size


def test_guessing_goes_on(own_api: Api) -> None:
    """An address that fails to authenticate too often gets no reasons for a minute, but can go on guessing: the
    API process still looks up each credential.
    """
    door = with_rate_limits(own_api.app, Limits(auth_failures=3))
    wrong = [(b"authorization", b"Bearer " + new_token().encode())]
    failed = [own_api.send("GET", secrets_of("worker"), b"", wrong, anonymous=True, to=door).status for _ in range(3)]

    assert [403] * 3 == failed
    assert 429 == own_api.send("GET", secrets_of("worker"), b"", wrong, anonymous=True, to=door).status
    assert 404 == own_api.send("GET", secrets_of("worker"), to=door).status
