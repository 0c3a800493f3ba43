"""`nightsafe audit` on a data directory, in this process."""

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.cli.audit.tools.call import call

from nightsafe.cli.audit.entry_source import ShownEntry, StoreEntries, following, shown
from nightsafe.cli.audit.filters import Filter, row
from nightsafe.cli.doctor.audit_log import audit_log
from nightsafe.cli.doctor.examination import Examination, State
from nightsafe.cli.main import cli
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.sqlite import SqliteStore


def delete_token(data: Path) -> None:
    """Delete a token without the API."""
    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        db.execute("DELETE FROM tokens WHERE name = 'kept'")
        db.commit()


def test_a_data_directory_verifies(data: Path) -> None:
    """The result has the numbers, as a sentence or as JSON, and a note that the keys are the directory's own."""
    done = call("verify", "--data", data)
    fields = json.loads(call("verify", "--data", data, "--json").stdout)

    counts = f"{fields['entries']} entries, {fields['versions']} versions, {fields['records']} values"
    assert f"{counts}: all as the log says\n" == done.stdout
    assert "give --verify-keys with a copy from elsewhere" in done.stderr
    assert (True, None, 0) == (fields["verified"], fields["difference"], fields["older"])


def test_a_difference_is_named_and_exits_with_1(data: Path) -> None:
    """A difference is on stderr with advice, or in the JSON object with the entry; the exit code is 1."""
    delete_token(data)

    done = call("verify", "--data", data, code=1)
    fields = json.loads(call("verify", "--data", data, "--json", code=1).stdout)

    assert "" == done.stdout
    assert f"nightsafe: {fields['difference']['what']}\n" in done.stderr
    assert f"What to do: {fields['difference']['advice']}\n" in done.stderr
    assert "wrote the token" in fields["difference"]["what"]
    assert isinstance(fields["difference"]["entry"], int)
    assert fields["verified"] is False


def test_macs_are_checked_if_the_identity_key_is_there(data: Path, tmp_path: Path) -> None:
    """MACs are checked with the identity key; without it, as for a backup, the result says that they are not."""
    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        db.execute("UPDATE tokens SET mac = zeroblob(32) WHERE name = 'kept'")
        db.commit()
    backup, keys = tmp_path / "backup.tar", data / "keys" / "verify-keys.json"
    assert 0 == CliRunner().invoke(cli, ["backup", str(backup), "--data", str(data)]).exit_code

    assert "of the table tokens does not have the MAC" in call("verify", "--data", data, code=1).stderr
    done = call("verify", "--backup", backup, "--verify-keys", keys)
    assert "MACs were not checked" in done.stdout
    assert (
        json.loads(call("verify", "--backup", backup, "--verify-keys", keys, "--json").stdout)["macs_checked"]
        is False
    )
    (data / "keys" / "identity-key.json").unlink()
    done = call("verify", "--data", data)
    assert "identity-key.json: cannot be read" in done.stderr
    assert "MACs were not checked" in done.stdout


def test_a_backup_verifies_with_keys_from_elsewhere(data: Path, tmp_path: Path) -> None:
    """A backup is verified with keys that the user names; those in the backup are not trusted."""
    backup, keys, foreign = tmp_path / "backup.tar", tmp_path / "keys.json", tmp_path / "foreign.json"
    done = CliRunner().invoke(cli, ["backup", str(backup), "--data", str(data)])
    assert 0 == done.exit_code, done.output
    shutil.copy(data / "keys" / "verify-keys.json", keys)
    VerifyKeys([SigningKey.generate().verify_key]).save(foreign)

    assert "all as the log says" in call("verify", "--backup", backup, "--verify-keys", keys).stdout
    assert "prove nothing" in call("verify", "--backup", backup, code=2).output
    assert "no given key has signed" in call("verify", "--backup", backup, "--verify-keys", foreign, code=1).stderr


def test_a_backup_that_was_changed_is_refused(data: Path, tmp_path: Path) -> None:
    """A backup of a database that was changed without the API does not verify."""
    delete_token(data)
    backup = tmp_path / "backup.tar"
    assert 0 == CliRunner().invoke(cli, ["backup", str(backup), "--data", str(data)]).exit_code

    keys = data / "keys" / "verify-keys.json"
    assert "wrote the token" in call("verify", "--backup", backup, "--verify-keys", keys, code=1).stderr


def test_an_export_is_private_and_verifies_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    """An export has mode 0600, replaces no file, and continues a kept checkpoint."""
    export, kept, keys = tmp_path / "log.jsonl", tmp_path / "kept", data / "keys" / "verify-keys.json"
    call("export", "--data", data, "--output", export)
    kept.write_text(call("checkpoint", "--data", data).stdout)

    assert 0o600 == stat.S_IMODE(export.stat().st_mode)
    assert "already exists" in call("export", "--data", data, "--output", export, code=1).output
    done = call("verify", export, "--verify-keys", keys, "--from", kept)
    assert done.stdout.endswith(" entries: all as the checkpoint says\n")
    assert "all as the log says" in call("verify", "--data", data, "--from", kept).stdout
    kept.write_text("another text")
    assert "not a checkpoint" in call("verify", "--data", data, "--from", kept, code=1).output
    assert "give only one" in call("verify", export, "--data", data, code=2).output
    assert call("export", "--data", data).stdout == export.read_text()
    assert call("export", "--data", data, "--format", "csv").stdout.startswith("index,time,")


def test_the_public_keys_have_the_form_of_other_tools(data: Path) -> None:
    """`key` prints a verifier key with the log's name, and `checkpoint` a note by that name."""
    fields = json.loads(call("key", "--data", data, "--json").stdout)
    note = json.loads(call("checkpoint", "--data", data, "--json").stdout)

    assert call("key", "--data", data).stdout == "\n".join(fields["keys"]) + "\n"
    assert fields["keys"][0].startswith(f"{note['origin']}+")
    assert note["note"].startswith(f"{note['origin']}\n{note['size']}\n")


def test_entries_are_listed_by_their_fields(data: Path) -> None:
    """`list` shows the newest entries first, as far as they fit all given options."""

    def actions(*options: str) -> list[str]:
        """Return the actions of the listed entries."""
        listed = json.loads(call("list", "--data", data, "--json", "--limit", "1000", *options).stdout)
        return [entry["action"] for entry in listed["entries"]]

    assert "accounts.create" == actions()[-1]
    assert {"tokens.create", "tokens.delete"} == set(actions("--action", "tokens.*"))
    assert actions("--script", "space/tenant")
    assert actions() == actions("--since", "1970-01-01T00:00:00Z", "--result", "success")
    assert ["tokens.create"] == actions("--until", "2020-01-01T00:00:00Z")
    assert [] == actions("--account-id", "0" * 32)
    assert [] == actions("--result", "failure")
    assert {"owner@example.com"} == {
        entry["email"]
        for entry in json.loads(call("list", "--data", data, "--json", "--actor", "owner@example.com").stdout)[
            "entries"
        ]
    }
    assert actions("--actor", "owner@example.com") == actions("--actor", "OWNER@Example.com") != []
    assert "no entry" in call("list", "--data", data, "--script", "absent").stderr
    assert call("list", "--data", data, "--limit", "3").stdout.startswith("index  time")


def test_a_date_stands_for_its_first_moment(data: Path) -> None:
    """`--since` and `--until` take a date or a time, and refuse any other text with an example of both."""

    def listed(*options: str) -> list[int]:
        """Return the indexes of the listed entries."""
        output = call("list", "--data", data, "--json", "--limit", "1000", *options).stdout
        return [entry["index"] for entry in json.loads(output)["entries"]]

    assert listed("--until", "2020-01-01") == listed("--until", "2020-01-01T00:00:00Z") == [1]
    assert listed("--since", "2020-01-01") == listed("--since", "2020-01-01T00:00:00Z") != []
    assert "give a date like 2030-01-31, or a time" in call("list", "--since", "2026-13-01", code=2).output


def test_an_entry_is_shown_with_what_it_wrote(data: Path) -> None:
    """`show` prints one entry, and refuses an index that the log does not have."""
    assert "token/" in call("show", "0", "--data", data).stdout
    assert 0 == json.loads(call("show", "0", "--data", data, "--json").stdout)["index"]
    assert "has no entry 99999: the last is" in call("show", "99999", "--data", data, code=4).output


async def test_new_entries_follow(data: Path) -> None:
    """`watch` shows the entries from an index on, in order."""
    store = SqliteStore.open(data / "nightsafe.db")
    try:
        source = StoreEntries(store)
        size, seen = await source.size(), []
        async for entry in following(source, size - 3):
            seen.append(entry.index)
            if len(seen) == 3:
                break
    finally:
        await store.close()

    assert [size - 3, size - 2, size - 1] == seen


def test_an_entry_of_another_form_is_refused() -> None:
    """An entry that is not one of this program is refused without its content."""
    with pytest.raises(NightsafeError, match="entry 7 is not one that this program writes"):
        shown(7, b'{"at":"text"}')


def test_refused_requests_are_selected_by_their_result() -> None:
    """An entry about a refused request has the result `failure`, and the table says so."""
    refused = ShownEntry(0, {"action": "secrets.put", "outcome": "refused"})

    assert Filter(None, None, None, None, None, None, "failure").selects(refused)
    assert not Filter(None, None, None, None, None, None, "success").selects(refused)
    assert "secrets.put (refused)" in row(refused)


def test_a_filter_without_options_selects_everything() -> None:
    """Without options every entry is selected, also one with few members."""
    assert Filter(None, None, None, None, None, None, None).selects(ShownEntry(0, {}))


@pytest.mark.parametrize(
    ("thorough", "words"),
    [(True, "all as the log says"), (False, "were not compared with the log: leave out --quick")],
)
def test_the_doctor_checks_the_log(data: Path, *, thorough: bool, words: str) -> None:
    """`doctor` says how much of a sound log it has checked, and reports a changed log with advice."""
    safe = Examination(data, thorough=thorough, tls=(None, None, None))
    (sound,) = audit_log(safe)
    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        db.execute("UPDATE log_head SET size = size - 1")
        db.commit()
    (failed,) = audit_log(safe)

    assert (State.OK, State.FAILED) == (sound.state, failed.state)
    assert words in sound.found
    assert "restore a backup that verifies" in failed.advice


def change_entry(data: Path, index: int, text: bytes) -> None:
    """Replace the text of an entry, as an attacker does who has removed the triggers."""
    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE audit SET entry = ? WHERE seq = ?", (text, index + 1))
        for _, sql in triggers:
            db.execute(sql)
        db.commit()


@pytest.mark.parametrize("text", [b"{}", b"garbage", b'{"at":1,"action":"forged","actor":"x","actor_kind":"t"}'])
def test_a_changed_entry_is_not_shown(data: Path, text: bytes) -> None:
    """An entry that is not what its leaf hash says is left out with a warning, and `show` and `export` refuse it."""
    change_entry(data, 3, text)
    listed = call("list", "--data", data, "--json")

    assert 3 not in [entry["index"] for entry in json.loads(listed.stdout)["entries"]]
    assert "entry 3 is left out, because its text was changed" in listed.stderr
    assert "entry 3 is left out" in call("show", "3", "--data", data, code=4).output
    for form in ("csv", "jsonl"):
        refusal = call("export", "--format", form, "--data", data, code=1).exception
        assert "entry 3 is not one that this program wrote" in str(refusal)


def test_an_actor_is_found_by_every_name() -> None:
    """An entry is selected by the ids of its token and its user, by the e-mail address, or as one of an operator."""
    by_token = ShownEntry(0, {"actor": "t1", "user": "u1", "email": "Owner@example.com", "actor_kind": "token"})
    by_hand = ShownEntry(1, {"actor": "", "actor_kind": "operator"})

    for actor in ("t1", "u1", "owner@example.com"):
        assert Filter(None, None, None, actor, None, None, None).selects(by_token)
        assert not Filter(None, None, None, actor, None, None, None).selects(by_hand)
    assert Filter(None, None, None, "operator", None, None, None).selects(by_hand)
    assert not Filter(None, None, None, "token", None, None, None).selects(by_token)


def test_a_count_of_refusals_is_shown() -> None:
    """An entry that counts refusals shows their number."""
    assert "secrets.put (refused 15 times)" in row(
        ShownEntry(0, {"action": "secrets.put", "outcome": "refused", "repeated": 15})
    )
