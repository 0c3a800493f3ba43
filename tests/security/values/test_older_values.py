"""Attacks with values from before the log."""

from pathlib import Path

from tests.past_safe import execute, put_newer, unpack

OTHER = "SELECT sealed, stated_in FROM bindings WHERE name = 'OTHER'"
PUT_BACK = "UPDATE bindings SET sealed = ?, stated_in = NULL, position = NULL"


def test_an_older_record_gets_into_the_log_only_in_its_own_place(tmp_path: Path) -> None:
    """A value from before the log gets into the log only if a trusted key has signed its record for its place, and
    the log names no value there.

    The attacker puts the record of another secret into one place, and a replaced record back into another.
    """
    past = unpack("09", tmp_path)
    past.upgrade()
    [(older, _)] = execute(past, OTHER)
    put_newer(past, "OTHER")
    execute(past, f"{PUT_BACK} WHERE name IN ('OTHER', 'UPLOADED')", older)

    done = past.run("migrate", "--yes")

    assert [(older, None)] * 2 == [*execute(past, OTHER), *execute(past, OTHER.replace("OTHER", "UPLOADED"))]
    assert 1 == done["older_values"]
    [refused] = done["refused_values"]
    assert "'UPLOADED'" in refused
    assert not past.run("audit", "verify", code=1)["verified"]
