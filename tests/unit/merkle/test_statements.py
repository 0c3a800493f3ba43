"""Proofs of statements: each statement of a group commit hangs on the signature of the commit's checkpoint."""

from hashlib import sha256

import pytest
from msgspec.structs import replace

from nightsafe.merkle.checkpoint import Checkpoint, statements_line
from nightsafe.merkle.statements import SignedStatements, StatementProof, statements_root


def signed(count: int) -> SignedStatements:
    """Return that many statements; the signature is not a real one."""
    digests = b"".join(sha256(bytes([number])).digest() for number in range(count))
    return SignedStatements(
        origin="nightsafe/1", size=77, root=bytes(range(32)), digests=digests, signer_id="0" * 16, signature=bytes(64)
    )


def text_of(statements: SignedStatements) -> bytes:
    """Return the text that the signature must cover."""
    digests = [statements.digests[at : at + 32] for at in range(0, len(statements.digests), 32)]
    line = statements_line(len(digests), statements_root(digests))
    return Checkpoint(statements.origin, statements.size, statements.root, (line,)).text()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 200])
def test_every_statement_leads_to_the_signed_text(count: int) -> None:
    """The proof of each statement, packed and parsed, leads to the checkpoint's text."""
    statements = signed(count)
    for position in range(count):
        proof = StatementProof.parse(statements.proof(position).pack())
        assert statements.proof(position) == proof
        assert text_of(statements) == proof.signed_text(statements.digests[position * 32 :][:32])


def test_another_statement_leads_elsewhere() -> None:
    """Another digest, position, count or path leads to another text or to none."""
    statements = signed(5)
    proof, digest = statements.proof(2), statements.digests[64:96]
    changed = [
        proof.signed_text(statements.digests[:32]),
        replace(proof, position=3).signed_text(digest),
        replace(proof, count=6).signed_text(digest),
        replace(proof, size=78).signed_text(digest),
        replace(proof, origin="nightsafe/2").signed_text(digest),
        replace(proof, path=proof.path[1:]).signed_text(digest),
        replace(proof, path=(bytes(32), *proof.path[1:])).signed_text(digest),
    ]
    assert text_of(statements) not in changed


def test_a_proof_that_is_cut_off_is_refused() -> None:
    """Every shorter form is either refused or another proof."""
    data = signed(5).proof(2).pack()
    for end in range(len(data) - len("nightsafe/1") + 1):
        with pytest.raises(ValueError, match="not a proof"):
            StatementProof.parse(data[:end])
