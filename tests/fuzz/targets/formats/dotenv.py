"""Files of variables (dotenv), as wrangler reads them."""

from nightsafe.cli.secret.sources.dotenv import parse_dotenv

_LONGEST = 20_000


def check(data: bytes) -> None:
    """Check that every entry has a name and a line of the file, and shows nothing of its value."""
    content = data[:_LONGEST].decode("utf-8", "replace")
    found = parse_dotenv(content)
    lines = content.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(entry.name and 1 <= entry.line <= lines for entry in found.assignments)
    assert all(1 <= line <= lines for line in found.skipped)
    assert all(
        len(entry.text) < 8 or entry.text in entry.name or entry.text not in repr(entry)
        for entry in found.assignments
    )
    again = parse_dotenv("\n".join(f"{entry.name}=x" for entry in found.assignments))
    assert [entry.name for entry in again.assignments] == [entry.name for entry in found.assignments]
