"""Each claim of the security page has a test."""

from pathlib import Path

import pytest
from tests.security.tools.claims import PAGE, TESTS, Claim, Holding, claims_of, complaints, holding

SAMPLE = """# Security

Report it. By a form.

## Who

An introduction. Of two sentences.

| with | an attacker can | but cannot |
| --- | --- | --- |
| a **key** | read `a` | write b |
| both | read everything | |

A sentence after
it. `serve` begins another with [a link](docs/api.md#here), see RFC 9180 [there][x].

## How

### Of a part

- One thing. Another
  `thing`, in 2.5 lines.

## Limits to know

- One limit. It is told
  in two sentences.

[x]: https://example.com/
"""


def test_each_claim_has_a_test() -> None:
    """Each row, sentence and limit of the page is the docstring of a test, and no test has another claim."""
    claims, tests = claims_of(PAGE.read_text()), holding(sorted(TESTS.rglob("test_*.py")))

    assert len(claims) > 40
    missing = complaints(claims, tests)
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


def test_rows_sentences_and_limits_are_claims() -> None:
    """Rows, sentences and whole limits are claims; introductions of sections and Markdown's markers are not."""
    assert [
        Claim("Who", "With a key, an attacker can read a, but cannot write b."),
        Claim("Who", "With both, an attacker can read everything."),
        Claim("Who", "A sentence after it."),
        Claim("Who", "serve begins another with a link, see RFC 9180 there."),
        Claim("Of a part", "One thing."),
        Claim("Of a part", "Another thing, in 2.5 lines."),
        Claim("Limits to know", "One limit. It is told in two sentences."),
    ] == claims_of(SAMPLE)


def test_a_tests_claim_is_its_first_paragraph(tmp_path: Path) -> None:
    """A test's claim is the first paragraph of its docstring, without markers; helpers have none."""
    path = tmp_path / "test_it.py"
    path.write_text(
        """
def help_it():
    '''No test.'''


async def test_it():
    '''`serve` never
    reads.

    At all.
    '''
"""
    )

    assert [Holding("test_it.py::test_it", "serve never reads.")] == holding([path])


def test_missing_and_stale_claims_are_reported() -> None:
    """A claim without a test is reported with its file, and a test without a claim by its name."""
    kept, new = Claim("How", "It is kept."), Claim("Records and files", "It is new.")

    [missing, gone] = complaints([kept, new], [Holding("a::test_a", "It is kept."), Holding("a::test_b", "It was.")])

    assert "tests/security/machine/test_records_and_files.py" in missing
    assert '"It is new."' in missing
    assert gone.startswith('a::test_b has the claim "It was."')


@pytest.mark.parametrize("word", ["skip", "xfail"])
def test_no_test_of_a_claim_is_skipped(word: str) -> None:
    """No test of a claim is skipped or expected to fail."""
    assert [] == [path.name for path in TESTS.rglob("*.py") if f"mark.{word}" in path.read_text()]
