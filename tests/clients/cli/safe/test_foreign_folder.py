"""A directory that somebody else has filled: nothing in it leads a command, a token or a value to them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.cli.tools.desk import Desk
from tests.server import Safe, run

LINES = "seal = 'never'\nplain_http = true\naccount_id = '{account}'\nscript = 'worker'\ntoken_file = '{token}'\n"


@contextmanager
def listening() -> Iterator[tuple[str, socket.socket]]:
    """Somebody's server, which answers nobody; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/client/v4", listener


def was_called(listener: socket.socket) -> bool:
    """Whether anybody has come."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_no_server_is_taken_from_a_folder(desk: Desk) -> None:
    """Neither token nor value goes where a file in the working directory says, and the file is named."""
    del desk.environ["CLOUDFLARE_BASE_URL"]
    token = desk.write("token", "nst_kept")
    (desk.cwd / "token").chmod(0o600)
    with listening() as (url, listener):
        said = LINES.format(account="0" * 32, token=token)
        desk.write("nightsafe.toml", f"url = '{url}'\n{said}")
        desk.write("wrangler.json", f'{{"name": "worker", "account_id": "{"0" * 32}", "url": "{url}"}}')
        refused = desk.refusal("secret", "put", "A", "--account", "0" * 32, code=1, stdin=b"value")
        assert not was_called(listener)

    assert (
        "ignored these settings of nightsafe.toml in this directory: account_id, plain_http, seal, token_file, url."
        in refused
    )
    assert "no server is named, and there is no safe in .nightsafe" in refused


def test_the_environment_wins_over_a_named_file(desk: Desk) -> None:
    """A file that is named says where to, unless a variable does; and then stderr says which server it is."""
    url = desk.environ["CLOUDFLARE_BASE_URL"]
    with listening() as (elsewhere, listener):
        desk.write("mine.toml", f"url = '{elsewhere}'\n")
        assert 0 == (done := desk.run("--config", "mine.toml", "secret", "put", "A", stdin=b"value")).returncode
        assert "the server is" not in done.stderr
        assert not was_called(listener)

    del desk.environ["CLOUDFLARE_BASE_URL"]
    desk.write("mine.toml", f"url = '{url}'\n")
    done = desk.run("--config", "mine.toml", "secret", "list")
    assert f"nightsafe: the server is {url} (named by the settings file)\n" == done.stderr


def test_serving_in_a_foreign_folder(safe: Safe) -> None:
    """`serve`, `run` and `deliver` take neither data nor ring nor address from a file that lies there."""
    folder = safe.path.parent
    (folder / "nightsafe.toml").write_text(f"data = '{safe.path}'\nhost = '0.0.0.0'\nplain_http = true\n")
    for command in ("serve", "run", "deliver"):
        done = run(command, cwd=folder)
        assert done.returncode in {1, 2}
        assert "ignored these settings of nightsafe.toml in this directory: data, host, plain_http." in done.stderr
        assert str(safe.path) not in done.stderr
