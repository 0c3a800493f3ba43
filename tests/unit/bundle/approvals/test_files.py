"""The files of approvers: their own key, and the approvers file."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Approvers
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.errors import NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.signing_key import SigningKey

ALICE, BOB = ApproverKey.generate(), ApproverKey.generate()


def approvers(rules: list[dict[str, Any]], **members: Any) -> Approvers:
    """Read an approvers file with these rules."""
    keys = {"alice": base64.b64encode(ALICE.public).decode(), "bob": base64.b64encode(BOB.public).decode()}
    file = {"format": "nightsafe-approvers/1", "keys": keys, "scripts": rules, **members}
    return Approvers.decode(json.dumps(file).encode(), "approvers.json")


def test_the_first_matching_rule_counts() -> None:
    """A script has the keys of the first rule that matches it."""
    found = approvers(
        [
            {"glob": "pay-*", "keys": ["alice"], "covers": "values"},
            {"glob": "dev-?", "covers": "nothing"},
            {"glob": "*", "keys": ["alice", "bob"]},
        ]
    )
    rule = found.rule_for("pay-out")
    assert (Covers.VALUES, (ALICE.id,)) == (rule.covers, found.key_ids(rule))
    assert Covers.NOTHING == found.rule_for("dev-1").covers
    rule = found.rule_for("dev-12")
    assert (Covers.CODE, (ALICE.id, BOB.id)) == (rule.covers, found.key_ids(rule))


def test_a_script_without_a_rule_has_no_approver() -> None:
    """A script that no rule matches needs an approval that no key can give."""
    found = approvers([{"glob": "pay-*", "keys": ["alice"]}])

    assert (Covers.CODE, ()) == (found.rule_for("other").covers, found.key_ids(found.rule_for("other")))


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "no rule"),
        ([{"glob": "*"}], "names no key"),
        ([{"glob": "*", "keys": ["carol"]}], "'carol', which is not"),
        ([{"glob": "*", "keys": ["bob"], "covers": "nothing"}], "must not name keys"),
        ([{"glob": "n/*", "keys": ["bob"]}], "matches no script"),
        ([{"glob": "*", "keys": ["bob"], "covers": "all"}], "wrong or missing field: .*'all'.*scripts.0..covers"),
        ([{"glob": "*", "key": ["bob"]}], "wrong or missing field: .*unknown field `key`.*scripts.0."),
    ],
)
def test_a_file_that_cannot_mean_what_it_says_is_refused(rules: list[dict[str, Any]], reason: str) -> None:
    """A refusal names the file, the rule and the way out."""
    with pytest.raises(NightsafeError, match=reason):
        approvers(rules)


def test_a_file_that_others_can_change_is_refused(tmp_path: Path) -> None:
    """An approvers file that other users may write to is refused, and a key file that they may read, too."""
    path, key = tmp_path / "approvers.json", tmp_path / "key.json"
    approvers([{"glob": "*", "keys": ["bob"]}]).save(path)
    assert Approvers.load(path).rules
    path.chmod(0o666)
    with pytest.raises(NightsafeError, match="chmod 0644"):
        Approvers.load(path)

    ALICE.save(key)
    assert 0o600 == key.stat().st_mode & 0o777
    assert ALICE.id == ApproverKey.load(key).id
    key.chmod(0o640)
    with pytest.raises(NightsafeError, match="chmod 0600"):
        ApproverKey.load(key)


@pytest.mark.parametrize("change", [{"private": ""}, {"id": "0" * 16}, {"format": "nightsafe-signing-key/1"}])
def test_a_damaged_key_is_refused_without_showing_it(change: dict[str, str]) -> None:
    """A damaged key file is refused, and the refusal does not contain the key."""
    file = json.loads(ALICE.encode())
    with pytest.raises(NightsafeError) as caught:
        ApproverKey.decode(json.dumps(file | change).encode())
    assert file["private"] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"format": "nightsafe-approvers/1",\n"keys": {},\n"scripts": [,]}', "is not JSON: see line 3"),
        ('{"format": "nightsafe-approvers/1",\n', "is not JSON: see line 2"),
        ('{"format": "nightsafe-approvers/1", "keys": {"al": "", "al": ""}}', "has 'al' more than once"),
        (
            '{"format": "nightsafe-approvers/1", "keys": {"al": "AAAA"}, "scripts": []}',
            "the key 'al' is not 32 bytes",
        ),
        (
            '{"format": "nightsafe-approvers/1", "keys": {"al": "\udc96"}, "scripts": []}',
            "the key 'al' is not 32 bytes",
        ),
        ('{"format": "nightsafe-approvers/1", "keys": {"\udc96": ""}, "scripts": []}', "is not JSON in UTF-8"),
        ('{"format": "nightsafe-approvers/1", "keys": {}}', "missing required field `scripts`"),
        ('{"format": "nightsafe-approvers/1", "keys": {}, "\x7f": 1}', "see the documentation"),
        ('{"format": "nightsafe-verify-keys/1", "keys": []}', "is not an approvers file"),
        ("{}", "is not an approvers file"),
    ],
)
def test_a_refused_file_is_told_where(content: str, reason: str) -> None:
    """A refusal names the line, the key or the field at fault, without control characters."""
    with pytest.raises(NightsafeError, match=reason) as caught:
        Approvers.decode(content.encode(errors="surrogateescape"), "approvers.json")
    assert caught.value.problems[0].detail.startswith("approvers.json: ")
    assert caught.value.problems[0].detail.isprintable()


@pytest.mark.parametrize("key", [ALICE, SigningKey.generate(), PrivateRing.generate(), IdentityKey.generate()])
def test_a_private_key_in_place_of_the_approvers_is_told_apart(key: KeyFile) -> None:
    """A file with a private key is refused as such, with what to name in its place, and without the key."""
    data = key.encode()
    with pytest.raises(NightsafeError, match=r"has a private key, .*name an approvers file") as caught:
        Approvers.decode(data, "approvers.json")
    assert not any(part in str(caught.value) for part in re.findall(r'"([A-Za-z0-9+/=]{43,})"', data.decode()))
