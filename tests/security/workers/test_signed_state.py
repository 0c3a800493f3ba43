"""Attacks with write access to the database: code, settings, bindings, values, deployments and the subdomain."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.delivery.test_bundles import bundle_of, token
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, File, form, form_type, keys, verifier

from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener

AT = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker"
METADATA: dict[str, Any] = {
    "main_module": "worker.js",
    "bindings": [
        {"type": "secret_text", "name": "A", "text": "first value of A"},
        {"type": "secret_text", "name": "B", "text": "the value of B"},
        {"type": "plain_text", "name": "MODE", "text": "safe"},
        {"type": "service", "name": "CALLEE", "service": "other"},
    ],
    "compatibility_date": "2026-01-01",
}
COLUMNS = "account_id, namespace, script, {}, since, kind, shown, key_id, sealed, digest, stated_in, position"
ATTACKS = {
    "a module is exchanged": """
INSERT INTO contents (account_id, digest, body) SELECT account_id, x'00', x'00' FROM contents LIMIT 1;
UPDATE modules SET digest = x'00'
""",
    "a module gets another type": "UPDATE modules SET content_type = 'text/plain'",
    "a module is added": """
INSERT INTO modules SELECT account_id, script_id, version, 9, 'x.js', content_type, digest FROM modules
""",
    "the main module is another": "UPDATE uploads SET main_module = 'x.js'",
    "a setting is changed": """
UPDATE uploads SET settings = CAST(replace(settings, '2026-01-01', '2025-01-01') AS BLOB)
""",
    "the settings are another version's": "UPDATE versions SET upload_version = 2",
    "the tag is changed": 'UPDATE versions SET annotations = CAST(\'{"workers/tag":"x"}\' AS BLOB)',
    "the time is changed": "UPDATE versions SET created_on = created_on + 1",
    "a binding is changed": "UPDATE bindings SET shown = CAST(replace(shown, 'safe', 'evil') AS BLOB)",
    "a binding leads elsewhere": "UPDATE bindings SET shown = CAST(replace(shown, 'other', 'evil') AS BLOB)",
    "a binding is removed": "DELETE FROM bindings WHERE name = 'MODE'",
    "a binding is renamed": "UPDATE bindings SET name = 'C' WHERE name = 'B'",
    "a binding is added": f"""
INSERT INTO bindings ({COLUMNS.format("name")}) SELECT {COLUMNS.format("'C'")} FROM bindings WHERE name = 'B'
""",  # noqa: S608 - the test's own SQL
    "the deployment loses its versions": "UPDATE deployments SET traffic = CAST('[]' AS BLOB)",
    "an older value is put back": """
UPDATE bindings SET (sealed, key_id, stated_in, position) =
  (SELECT sealed, key_id, stated_in, position FROM binding_history WHERE name = 'A') WHERE name = 'A'
""",
    "an older value is put back with its version": """
UPDATE bindings SET (sealed, key_id, stated_in, position, since, digest) =
  (SELECT sealed, key_id, stated_in, position, from_version, digest FROM binding_history WHERE name = 'A')
WHERE name = 'A'
""",
    "a value moves to another name": """
UPDATE bindings SET (sealed, stated_in, position) =
  (SELECT sealed, stated_in, position FROM bindings WHERE name = 'B') WHERE name = 'A'
""",
    "a version is passed off as an older one": """
UPDATE uploads SET main_module = 'x.js';
UPDATE versions SET digest = NULL, stated_in = NULL, position = NULL;
UPDATE scripts SET mac = x'', content = x''
""",
    "the digest of a binding is changed too": """
UPDATE bindings SET shown = CAST(replace(shown, 'safe', 'evil') AS BLOB), digest = NULL WHERE name = 'MODE'
""",
    "the digest of the content is changed too": """
UPDATE uploads SET main_module = 'x.js';
UPDATE scripts SET content = zeroblob(32)
""",
    "a version has another's proof": "UPDATE versions SET position = 0",
    "a version has no proof": "UPDATE versions SET stated_in = NULL, position = NULL",
    "the statements are changed": "UPDATE log_groups SET digests = zeroblob(length(digests))",
    "the signature is changed": "UPDATE log_groups SET signature = zeroblob(64)",
    "the shares are changed": "UPDATE deployments SET traffic = CAST(replace(traffic, '60', '90') AS BLOB)",
    "the deployment has another version": """
UPDATE deployments SET traffic =
  (SELECT CAST('[["' || lower(hex(id)) || '",100.0]]' AS BLOB) FROM versions WHERE upload_version = 1 LIMIT 1)
""",
    "the deployment is another": "UPDATE deployments SET id = zeroblob(16)",
    "the subdomain is enabled": "UPDATE scripts SET triggers = CAST('{\"subdomain_enabled\":true}' AS BLOB)",
    "the subdomain is as it was at first": "UPDATE scripts SET triggers = CAST('{}' AS BLOB)",
    "the script is renamed": """
UPDATE scripts SET name = 'stolen' WHERE name = 'worker';
UPDATE bindings SET script = 'stolen'
""",
}
"""What an attacker does in SQL, under the name of the attack."""


MISSING = "00000000-0000-4000-8000-000000000000"
NEW = {"name": "B", "text": "another value of B"}
BUNDLE = f"/client/v4/accounts/{ACCOUNT}/nightsafe/bundles/worker"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with a script that has two versions of a secret, a split deployment, and no subdomain."""
    with Api(tmp_path) as made:
        fill(made)
        yield made


def fill(made: Api) -> None:
    """Upload and change the script."""
    made.upload("other", {"main_module": "worker.js"})
    made.upload("worker", METADATA)
    made.json("PUT", f"{AT}/secrets", {"type": "secret_text", "name": "A", "text": "second value of A"})
    made.json("POST", f"{AT}/subdomain", {"enabled": False})
    newest, oldest = made.send("GET", f"{AT}/versions").result["items"]
    split = [{"version_id": newest["id"], "percentage": 60}, {"version_id": oldest["id"], "percentage": 40}]
    made.json("POST", f"{AT}/deployments", {"strategy": "percentage", "versions": split})


def attack(api: Api, script: str) -> None:
    """Change the database behind the API's back, as far as its triggers allow."""
    with closing(sqlite3.connect(api.path)) as db:
        db.executescript(script)


def opened(bundle: Bundle) -> dict[str, str]:
    """Open every value as delivery does."""
    opener, values = RecordOpener(verifier(), keys()[0]), {}
    for version in bundle.versions:
        for binding in version.bindings:
            if binding.record is not None:
                context = Context(
                    account_id=bundle.account_id,
                    namespace=bundle.namespace,
                    script=bundle.script,
                    name=binding.name,
                    kind=binding.kind,
                )
                values[f"{binding.name} in {version.number}"] = opener.open(context, binding.record).reveal().decode()
    return values


def test_an_unchanged_script_is_delivered(api: Api) -> None:
    """The delivery process takes code, settings, bindings, values and deployments only as the API process signed them
    when it wrote them.

    A script that nobody has tampered with passes, and its values open.
    """
    bundle = bundle_of(api, "worker")
    check_stated(bundle, verifier())
    assert {
        "A in 1": "first value of A",
        "B in 1": "the value of B",
        "A in 2": "second value of A",
        "B in 2": "the value of B",
    } == opened(bundle)
    assert bundle.inner


@pytest.mark.parametrize("sql", ATTACKS.values(), ids=ATTACKS)
def test_only_what_was_signed_when_it_was_written_is_delivered(api: Api, sql: str) -> None:
    """The delivery process takes code, settings, bindings, values and deployments only as the API process signed them
    when it wrote them.
    """
    attack(api, sql)
    target = f"/client/v4/accounts/{ACCOUNT}/nightsafe/bundles/{'stolen' if 'stolen' in sql else 'worker'}"
    answer = api.try_send("GET", target, b"", [token(api)], anonymous=True)
    assert answer is not None
    if answer.status != 200:
        return  # the API itself refuses what the attacker has written
    bundle = open_bundle(answer.body, verifier())

    assert bundle.versions or bundle.deployment
    assert refuses(bundle)


def refuses(bundle: Bundle) -> bool:
    """Return whether delivery refuses the bundle, or one of its values."""
    try:
        check_stated(bundle, verifier())
        opened(bundle)
    except NightsafeError as error:
        return error.code is Code.CANNOT_OPEN
    return False


def upload_anyhow(api: Api) -> Answer:
    """Upload other code, and keep all bindings."""
    metadata = File("metadata", json.dumps(KEPT).encode(), "application/json", as_file=False)
    body = form(metadata, File("worker.js", b"export default { new: 1 }"))
    answer = api.try_send("PUT", AT, body, [form_type()])
    assert answer is not None
    return answer


KEPT = {"main_module": "worker.js", "keep_bindings": ["secret_text", "plain_text", "service"]}
WRITES: dict[str, Callable[[Api], Answer]] = {
    "a secret is put": lambda api: api.json_anyhow("PUT", f"{AT}/secrets", {"type": "secret_text"} | NEW),
    "code is uploaded": upload_anyhow,
    "settings are changed": lambda api: api.json_anyhow(
        "PATCH", f"{AT}/script-settings", {"logpush": True, "tags": ["x"]}
    ),
    "the newest version is deployed": lambda api: deploy(api, {100: 0}),
    "the traffic is split again": lambda api: deploy(api, {70: 0, 30: 1}),
    "schedules are changed": lambda api: api.json_anyhow("PUT", f"{AT}/schedules", [{"cron": "* * * * *"}]),
}
"""Lawful writes of somebody who knows nothing of the attack."""


def deploy(api: Api, shares: dict[int, int]) -> Answer:
    """Deploy versions, by their percentage and their place in the list of versions."""
    answer = api.send("GET", f"{AT}/versions")
    ids = [item["id"] for item in answer.result["items"]] or [MISSING]  # an attack may hide versions
    versions = [{"version_id": ids[place % len(ids)], "percentage": share} for share, place in shares.items()]
    return api.json_anyhow("POST", f"{AT}/deployments", {"strategy": "percentage", "versions": versions})


@pytest.mark.thorough
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("attack_name", [name for name in ATTACKS if "renamed" not in name or "script" not in name])
def test_a_lawful_write_signs_nothing_that_somebody_else_wrote(tmp_path: Path, attack_name: str, write: str) -> None:
    """A lawful write never signs what something else has put into the database: it is refused, or delivery refuses
    the script, or the write has replaced all that was changed.
    """
    clean, attacked = (
        contents(folder, write, sql)
        for folder, sql in ((tmp_path / "clean", ""), (tmp_path / "attacked", ATTACKS[attack_name]))
    )

    assert clean
    assert attacked in (None, clean)


def contents(folder: Path, write: str, sql: str) -> object:
    """Attack a script, write to it, and return what is delivered then; None if it is refused."""
    with Api(folder) as api:
        fill(api)
        attack(api, sql)
        WRITES[write](api)
        answer = api.try_send("GET", BUNDLE, b"", [token(api)], anonymous=True)
        assert answer is not None
        if answer.status != 200 or refuses(open_bundle(answer.body, verifier())):
            return None
        bundle = open_bundle(answer.body, verifier())
        return (
            bundle.inner,
            opened(bundle),
            [
                (
                    version.number,
                    version.percentage,
                    version.main_module,
                    version.modules,
                    bytes(version.settings),
                    version.tag,
                    [(binding.name, binding.kind, bytes(binding.shown)) for binding in version.bindings],
                )
                for version in bundle.versions
            ],
        )
