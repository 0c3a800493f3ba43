"""`nightsafe init` and `nightsafe token create`, as an operator runs them."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import ACCOUNT, Safe, Server, make_safe, run

TOKEN = re.compile(r"nst_[0-9A-Za-z]{38}")
KEY = re.compile(r"nsk_[0-9A-Za-z]{38}")


def files_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and content of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def scripts_status(server: Server, token: str, account_id: str = ACCOUNT) -> int:
    """Return the status of a read with a token."""
    with Wire(server.port, [("Authorization", f"Bearer {token}")]) as wire:
        return wire.ask("GET", SCRIPTS.replace(ACCOUNT, account_id)).status


def test_init_prints_each_credential_on_its_line(tmp_path: Path) -> None:
    """`init` prints each credential on a line of its own, and the path of the private ring."""
    done = run("init", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(TOKEN.findall(done.stdout)) == 1
    assert len(KEY.findall(done.stdout)) == 1
    assert re.search(r"account id +[0-9a-f]{32}\n", done.stdout)
    assert re.search(r"e-mail +owner@nightsafe\.local\n", done.stdout)
    assert ".nightsafe/delivery/private-ring.json" in done.stdout


def test_init_prints_json(tmp_path: Path) -> None:
    """`init --json` prints one object; the account and e-mail are those of the options."""
    done = run("init", "--json", "--account-id", "0" * 32, "--email", "Me@example.com", cwd=tmp_path)

    printed = json.loads(done.stdout)
    assert sorted(printed) == ["account_id", "api_key", "api_token", "email"]
    assert (printed["account_id"], printed["email"]) == ("0" * 32, "Me@example.com")
    assert TOKEN.fullmatch(printed["api_token"])
    assert KEY.fullmatch(printed["api_key"])


def test_two_safes_share_no_keys_or_credentials(tmp_path: Path) -> None:
    """Keys and credentials are new each time, and so is the account's id unless it is given."""
    made = []
    for name in ("one", "two"):
        printed = json.loads(run("init", "--json", "--data", name, cwd=tmp_path).stdout)
        keys = [
            (tmp_path / name / f"{file}.json").read_text() for file in ("delivery/private-ring", "keys/signing-key")
        ]
        made.append({printed["account_id"], printed["api_token"], printed["api_key"], *keys})

    assert [len(items) for items in made] == [5, 5]
    assert not made[0] & made[1]


def test_a_safe_is_never_overwritten(safe: Safe) -> None:
    """A second `init` exits with 1, prints no credential, and changes no byte."""
    before = files_below(safe.path.parent)

    done = run("init", "--data", str(safe.path), cwd=safe.path.parent)

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"nightsafe: {safe.path} already exists and will not be overwritten; name another directory with --data\n"
    )
    assert before == files_below(safe.path.parent)


@pytest.mark.parametrize("content", ["file", "folder"])
def test_init_leaves_other_files_unchanged(tmp_path: Path, content: str) -> None:
    """`init` leaves an existing file, or a folder that is not empty, unchanged."""
    place = tmp_path / "safe"
    if content == "folder":
        place.mkdir()
        place = place / "kept.txt"
    place.write_text("kept")

    done = run("init", "--data", "safe", cwd=tmp_path)

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert files_below(tmp_path) == {str(place.relative_to(tmp_path)): (place.stat().st_mode, b"kept")}


def test_init_accepts_an_empty_folder(tmp_path: Path) -> None:
    """`init` creates the safe in an empty folder."""
    (tmp_path / "safe").mkdir()

    assert run("init", "--data", "safe", cwd=tmp_path).returncode == 0
    assert (tmp_path / "safe" / "nightsafe.db").exists()


def test_init_reports_a_path_that_cannot_be_created(tmp_path: Path) -> None:
    """The refusal is one line on standard error, with exit code 1."""
    (tmp_path / "file").write_text("")

    done = run("init", "--data", "file/safe", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"nightsafe: file/safe cannot be created: .+\n", done.stderr)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--account-id", "12345"),
        ("--account-id", ACCOUNT.upper()),
        ("--account-id", f"{ACCOUNT}\n"),
        ("--account-id", ""),
        ("--email", "nobody"),
        ("--email", "a b@c"),
    ],
)
def test_init_refuses_bad_options(tmp_path: Path, option: str, value: str) -> None:
    """The message names the option; the exit code is 2 and nothing is created."""
    done = run("init", option, value, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_new_token_works_on_a_running_server(own_server: Server) -> None:
    """A token that is created while the server runs works at once; `--json` names its account."""
    data = str(own_server.safe.path)
    make = ("token", "create", "--all-access", "--data", data)
    plain = run(*make, cwd=own_server.safe.path.parent)
    as_json = run(*make, "--json", "--expires-in", "600", cwd=own_server.safe.path.parent)

    assert TOKEN.fullmatch(plain.stdout.strip())
    printed = json.loads(as_json.stdout)
    assert printed["account_id"] == ACCOUNT
    assert [scripts_status(own_server, token) for token in (plain.stdout.strip(), printed["api_token"])] == [200, 200]


def test_a_new_token_is_in_no_file(safe: Safe) -> None:
    """The database has a token's expiry and name, but no file has the token itself."""
    options = ("--all-access", "--name", "of-the-night", "--expires-in", "3600", "--account-id", ACCOUNT)
    token = run("token", "create", "--data", str(safe.path), *options, cwd=safe.path.parent).stdout.strip()

    with closing(sqlite3.connect(safe.database)) as db:
        [(issued, expires)] = db.execute("SELECT issued_on, expires_on FROM tokens WHERE name = 'of-the-night'")
    assert 3540 * 1_000_000 < expires - issued <= 3600 * 1_000_000
    assert not [name for name, (_, content) in files_below(safe.path).items() if token.encode() in content]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--account-id", "f" * 32), 1, "no such account"),
        (("--expires-in", "0"), 2, "--expires-in"),
        (("--data", "nowhere"), 1, "there is no safe in nowhere; create one with: nightsafe init"),
    ],
)
def test_token_create_refuses_bad_options(safe: Safe, arguments: tuple[str, ...], code: int, words: str) -> None:
    """The reason is on standard error, and no token is on standard output."""
    done = run("token", "create", "--all-access", "--data", str(safe.path), *arguments, cwd=safe.path.parent)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_safe_serves_only_its_account(tmp_path: Path) -> None:
    """The safe serves only the account for which it was created."""
    with Server(make_safe(tmp_path, "0" * 32)) as server:
        token = server.safe.api_token
        assert [scripts_status(server, token, account) for account in ("0" * 32, ACCOUNT)] == [200, 403]
