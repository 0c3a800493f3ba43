"""The transparency log over HTTP: checkpoint, tiles, entries and proofs, and the callers that may read them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.stores import SIGNING_KEY
from tests.unit.api.delivery.test_bundles import token as delivery_token
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, Headers
from tests.unit.api.tools.tokens import keep, row

from nightsafe.bundle.log_proof import LogProof
from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ALL_ACCOUNTS, policies_for
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, read_note
from nightsafe.merkle.proofs import is_consistent
from nightsafe.merkle.tiles import split_entry_bundle, split_hashes
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.identity.administration import create_account
from nightsafe.store.changes import ArchivedEntries

AT = "/client/v4/nightsafe/log"
OTHER_ACCOUNT = "e" * 32


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with some entries in its log."""
    with Api(tmp_path) as made:
        made.upload("worker")
        for number in range(5):
            made.put("worker", {"type": "secret_text", "name": f"S{number}", "text": "planted"})
        yield made


def checkpoint_of(api: Api) -> Checkpoint:
    """Return the checkpoint that the API shows, after a check of its signature."""
    answer = api.send("GET", f"{AT}/checkpoint")
    assert (200, b"text/plain; charset=utf-8") == (answer.status, answer.header(b"content-type"))
    return open_note(answer.body, [NoteKey(read_note(answer.body).origin, SIGNING_KEY.public)])


def ask(api: Api, path: str, credentials: Headers) -> Answer:
    """Ask for a part of the log."""
    return api.send("GET", f"{AT}/{path}", b"", credentials, anonymous=True)


def bearer(api: Api, policies: bytes) -> Headers:
    """Return the header of a new token with these policies."""
    made = new_token()
    keep(api, row(made, policies))
    return [(b"authorization", b"Bearer " + made.encode())]


def test_tiles_and_entries_lead_to_the_checkpoint(api: Api) -> None:
    """The hashes are those of the entries, and their root is the one that the checkpoint signs."""
    checkpoint = checkpoint_of(api)
    width = checkpoint.size
    leaves = split_hashes(api.send("GET", f"{AT}/tile/0/000.p/{width}").body)
    bundle = api.send("GET", f"{AT}/tile/entries/000.p/{width}")

    assert checkpoint.root == root_of(leaves)
    assert leaves == [leaf_hash(entry) for entry in split_entry_bundle(bundle.body)]
    assert bundle.body == api.send("GET", f"{AT}/entries/000.p/{width}").body
    assert b"planted" not in bundle.body
    assert b"application/octet-stream" == bundle.header(b"content-type")


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/0/0", "entries/x", "tile/"])
def test_a_tile_that_the_log_does_not_have_is_not_found(api: Api, path: str) -> None:
    """A path outside the log, or in another form, gets 404."""
    assert 404 == api.send("GET", f"{AT}/{path}").status


def test_the_log_needs_audit_read(api: Api) -> None:
    """Hashes need Audit Read on any account; entries need it on every account that they are about, or on all."""
    at_first = f"entries/000.p/{checkpoint_of(api).size}"
    assert 200 == ask(api, at_first, bearer(api, policies_for(ACCOUNT, ALL_ACCESS))).status
    api.run(create_account(api.store, OTHER_ACCOUNT, "other", "other@example.com"))
    width = checkpoint_of(api).size
    entries, hashes = f"entries/000.p/{width}", f"tile/0/000.p/{width}"
    here, everywhere = (bearer(api, policies_for(name, ALL_ACCESS)) for name in (ACCOUNT, ALL_ACCOUNTS))
    nowhere = bearer(api, b"[]")

    assert [403, 403] == [ask(api, path, nowhere).status for path in (entries, hashes)]
    assert [403, 200] == [ask(api, path, here).status for path in (entries, hashes)]
    assert [200, 200] == [ask(api, path, everywhere).status for path in (entries, hashes)]


def test_a_delivery_process_gets_a_consistency_proof(api: Api) -> None:
    """The proof shows that the log begins with the log of an earlier checkpoint; a malformed size is refused."""
    before = checkpoint_of(api)
    credentials = [delivery_token(api)]
    at = f"/client/v4/accounts/{ACCOUNT}/nightsafe/log-proof?from="
    answer = api.send("GET", f"{at}{before.size}", b"", credentials, anonymous=True)
    found = msgspec.convert(answer.result, LogProof)
    after = read_note(found.checkpoint)

    assert before.size < after.size
    assert is_consistent(before.size, after.size, before.root, after.root, found.proof)
    assert [400, 400] == [
        api.send("GET", f"{at}{size}", b"", credentials, anonymous=True).status for size in ("-1", "x" * 30)
    ]


def test_archived_entries_are_gone_and_their_hashes_are_not(api: Api) -> None:
    """A bundle with an archived entry gets 410 with the reason; hashes, proofs and later entries are there."""
    before = checkpoint_of(api)
    api.run(api.store.commit(archive_change(ArchivedEntries(0, 4), 0)))
    width = checkpoint_of(api).size
    leaves = split_hashes(api.send("GET", f"{AT}/tile/0/000.p/{width}").body)
    gone = api.send("GET", f"{AT}/tile/entries/000.p/{width}")

    assert (410, [10707]) == gone.refusal
    assert "has archived some of these entries" in gone.messages[0]
    assert checkpoint_of(api).root == root_of(leaves)
    assert before.root == root_of(leaves[: before.size])
    at = f"/client/v4/accounts/{ACCOUNT}/nightsafe/log-proof?from=3"
    answer = api.send("GET", at, b"", [delivery_token(api)], anonymous=True)
    found = msgspec.convert(answer.result, LogProof)
    newest = read_note(found.checkpoint)
    assert is_consistent(3, newest.size, root_of(leaves[:3]), newest.root, found.proof)
