"""`nightsafe approver create` and `nightsafe approve`, against a real server."""

import json
from pathlib import Path

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.wire.talk import SCRIPTS, form

from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Approvers, Rule
from nightsafe.bundle.approvals.manifest import Covers


@pytest.fixture
def alice(user: UserEnvironment) -> str:
    """Return the name of the file with a new key."""
    user.json("approver", "create", "alice.json")
    return "alice.json"


def upload(user: UserEnvironment, code: bytes, *bindings: object) -> None:
    """Upload the user's script with this code."""
    with user.wire as wire:
        content_type, body = form(
            {"metadata": json.dumps({"main_module": "worker.js", "bindings": bindings}).encode()}, code
        )
        answer = wire.ask("PUT", f"{SCRIPTS}/{user.script}", body, [("Content-Type", content_type)])
        assert 200 == answer.status, answer.body


def test_a_new_key_is_private(user: UserEnvironment, alice: str) -> None:
    """The key file has mode 0600 and is never replaced; the output has the public half only."""
    path = user.cwd / alice
    assert 0o600 == path.stat().st_mode & 0o777
    assert "already exists" in user.refusal("approver", "create", alice, code=1)
    code, shown = user.at_terminal("approver", "create", "bob.json")
    assert (0, True) == (code, ApproverKey.load(user.cwd / "bob.json").id in shown)
    assert json.loads((user.cwd / "bob.json").read_bytes())["private"] not in shown


def test_an_approver_sees_the_changes_and_answers(user: UserEnvironment, alice: str) -> None:
    """The command shows the changes since the last approval, asks, and signs only after a yes."""
    arguments = ("approve", user.script, "--approver-key", alice)
    code, shown = user.at_terminal(*arguments, replies=[("Approve version 1", "n\n")])
    assert 1 == code
    assert "every part is listed" in shown

    code, shown = user.at_terminal(*arguments, replies=[("Approve version 1", "y\n")])
    assert (0, True) == (code, "approved version 1" in shown)

    user.run("secret", "put", "TOKEN", stdin=b"value")
    code, shown = user.at_terminal(*arguments, replies=[("Approve version 2", "y\n")])
    assert 0 == code
    assert "compared with version 1" in shown
    assert "secret_text" in shown
    assert "value" not in shown

    assert [] == user.json("approve", user.script, "--approver-key", alice, "--yes")["changes"]
    assert 1 == len(user.json("approve", user.script, "1", "--approver-key", alice, "--yes")["changes"])


def test_the_approvals_of_others_count_only_with_their_keys(user: UserEnvironment, alice: str) -> None:
    """The comparison is with a version that a known key has approved; the server cannot choose another."""
    user.json("approver", "create", "bob.json")
    bob = ApproverKey.load(user.cwd / "bob.json")
    user.json("approve", user.script, "--yes", "--approver-key", "bob.json")
    arguments = ("approve", user.script, "--yes", "--approver-key", alice)

    assert user.json(*arguments)["compared_with"] is None
    keys = {"alice": ApproverKey.load(user.cwd / alice).public, "bob": bob.public}
    file = user.cwd / "approvers.json"
    Approvers(keys, (Rule(glob="*", keys=("alice", "bob")),)).save(file)
    upload(user, b"export default {}; // two")
    user.json("approve", user.script, "--yes", "--approver-key", "bob.json")
    with_file = (*arguments, "--approvers", "approvers.json")
    assert [] == user.json(*with_file)["changes"]

    upload(user, b"export default {}; // three")
    user.json("approve", user.script, "--yes", "--approver-key", "bob.json")
    Approvers(keys, (Rule(glob="other", keys=("bob",)), Rule(glob="*", keys=("alice",)))).save(file, replace=True)
    assert ["module"] == [change["part"] for change in user.json(*with_file)["changes"]]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(glob="*", keys=("bob",)), "may not approve"),
        (Rule(glob="*", covers=Covers.NOTHING), "needs no approval"),
        (Rule(glob="other", keys=("alice",)), "no rule of"),
    ],
)
def test_an_approval_without_effect_is_not_made(user: UserEnvironment, alice: str, rule: Rule, words: str) -> None:
    """With the approvers file, a key that may not approve the script is refused before anything is signed."""
    key = ApproverKey.load(user.cwd / alice).public
    Approvers({"alice": key, "bob": ApproverKey.generate().public}, (rule,)).save(user.cwd / "approvers.json")

    arguments = ("approve", user.script, "--yes", "--approver-key", alice, "--approvers", "approvers.json")
    assert words in user.refusal(*arguments, code=1)


def test_an_empty_version_is_refused(user: UserEnvironment, alice: str) -> None:
    """An empty VERSION, as of a variable that is not set, does not mean the newest version."""
    assert "is not a version" in user.refusal("approve", user.script, "", "--approver-key", alice, "--yes", code=1)


def test_without_an_answer_nothing_is_signed(user: UserEnvironment, alice: str) -> None:
    """Without a terminal the command needs --yes; without a key or with a wrong version, it is refused."""
    done = user.run("approve", user.script, "--approver-key", alice)
    assert (2, True) == (done.returncode, "nothing was done: give --yes" in done.stderr)
    assert "--approver-key is missing" in user.refusal("approve", user.script, "--yes", code=2)
    assert "has no version 9" in user.refusal("approve", user.script, "9", "--approver-key", alice, "--yes", code=4)
    absent = user.refusal("approve", "absent", "--approver-key", alice, "--yes", code=4)
    assert ("[10007]" in absent, "--script" in absent) == (True, False)
    assert "--script names another script" in user.refusal("secret", "list", "--script", "absent", code=4)
    (user.cwd / alice).chmod(0o644)
    assert "chmod 0600" in user.refusal("approve", user.script, "--approver-key", alice, "--yes", code=1)


def test_modules_must_equal_the_files(user: UserEnvironment, alice: str, tmp_path: Path) -> None:
    """With --modules, a version is approved only if each module is the file of its name, inside that directory."""
    folder = tmp_path / "dist"
    folder.mkdir()
    arguments = ("approve", user.script, "--approver-key", alice, "--yes", "--modules", str(folder))
    assert "'worker.js' is not in" in user.refusal(*arguments, code=1)
    (folder / "worker.js").write_bytes(b"other code")
    assert "'worker.js' differs from the file" in user.refusal(*arguments, code=1)
    (tmp_path / "outside.js").write_bytes(b"export default {};")
    (folder / "worker.js").unlink()
    (folder / "worker.js").symlink_to(tmp_path / "outside.js")
    assert "leads out of" in user.refusal(*arguments, code=1)
    (folder / "worker.js").unlink()
    (folder / "worker.js").write_bytes(b"export default {};")
    assert "no version was approved before" in user.run(*arguments).stderr
    user.json("approve", user.script, "--approver-key", alice, "--yes")
    upload(user, b"export default {}; // two", {"type": "plain_text", "name": "ADDED", "text": "t"})
    (folder / "worker.js").write_bytes(b"export default {}; // two")
    refused = user.run(*arguments)
    assert (1, True) == (refused.returncode, "binding 'ADDED'" in refused.stderr)
    changes = user.json(*arguments, "--allow", "ADDED")["changes"]
    assert {"module", "binding"} == {change["part"] for change in changes}
