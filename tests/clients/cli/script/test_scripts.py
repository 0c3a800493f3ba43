"""`nightsafe script`, `whoami` and `completion`."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.clients.cli.tools.terminal import Terminal
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.server import ACCOUNT, Server, run


def test_script_list_is_sorted_by_name(user: UserEnvironment) -> None:
    """The list has every script of the account, sorted by name."""
    code, shown = user.at_terminal("script", "list")

    names = [line.split()[0] for line in shown.splitlines()]
    assert (0, "name") == (code, names[0])
    assert user.script in names[1:]
    assert sorted(names[1:]) == names[1:] == [script["id"] for script in user.json("script", "list")["scripts"]]


def test_script_list_of_an_empty_account(own_server: Server, tmp_path: Path) -> None:
    """The command says that the account has no scripts."""
    assert (0, "the account has no scripts\n") == UserEnvironment(own_server, "x", tmp_path).at_terminal(
        "script", "list"
    )


def test_script_show_includes_secrets(user: UserEnvironment) -> None:
    """The script is named by argument or option, and shown with its secrets."""
    user.run("secret", "put", "TOKEN", stdin=b"value")

    code, shown = user.at_terminal("script", "show", user.script)
    fields = dict(line.split(maxsplit=1) for line in shown.splitlines())

    assert (0, user.script, "TOKEN") == (code, fields["name"], fields["secrets"])
    found = user.json("script", "show")
    assert (user.script, ["TOKEN"], found["tag"]) == (found["id"], found["secrets"], fields["tag"])
    assert "[10007]" in user.refusal("script", "show", "absent", code=4)


def test_whoami_shows_user_token_and_accounts(user: UserEnvironment) -> None:
    """`whoami` shows the user, the token and the accounts, with a token and with a global API key."""
    code, shown = user.at_terminal("whoami")
    safe = user.server.safe

    assert (0, True) == (code, safe.email in shown)
    assert f"{ACCOUNT} (Nightsafe)" in shown
    assert safe.api_token not in shown
    found = user.json("whoami")
    assert ("active", "user", user.server.base_url) == (
        found["token"]["status"],
        found["token"]["owner"],
        found["server"],
    )
    user.environ.pop("CLOUDFLARE_API_TOKEN")
    user.environ |= {"CLOUDFLARE_EMAIL": safe.email, "CLOUDFLARE_API_KEY": safe.api_key}
    by_key = user.json("whoami")
    assert (safe.email, None, [ACCOUNT]) == (
        by_key["email"],
        by_key["token"],
        [account["id"] for account in by_key["accounts"]],
    )


def test_whoami_of_an_account_token(user: UserEnvironment) -> None:
    """`whoami` shows a token that the account owns, not a user."""
    safe = user.server.safe
    made = run(
        *("token", "create", "--all-access", "--owner", "account", "--expires-in", "3600"),
        *("--json", "--data", str(safe.path)),
        cwd=safe.path.parent,
    )
    token = json.loads(made.stdout)
    user.environ["CLOUDFLARE_API_TOKEN"] = token["api_token"]

    found = user.json("whoami")

    assert (None, token["id"], "account") == (found["email"], found["token"]["id"], found["token"]["owner"])
    assert user.at_terminal("whoami")[0] == 0


def test_bash_completes_commands_and_options(user: UserEnvironment) -> None:
    """In a real bash, Tab completes commands and options after the shell has evaluated our completion script."""
    if shutil.which("bash") is None:
        pytest.fail("bash is not installed", pytrace=False)
    user.environ |= {"PS1": "ready> ", "HISTFILE": "/dev/null"}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], user.cwd, user.environ) as shell:
        shell.wait_for("ready> ")
        shell.type('eval "$(nightsafe completion bash)"\n')
        shell.wait_for("ready> ")
        shell.type("nightsafe secret ge\t")
        shell.wait_for("secret get ")
        shell.type("--scr\t")
        shell.wait_for("--script ")
        shell.type("\x15exit\n")  # Ctrl-U deletes the line
        shell.end()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_have_valid_syntax(user: UserEnvironment, shell: str) -> None:
    """Each shell has a completion script with valid syntax."""
    done = user.run("completion", shell)

    assert (0, True) == (done.returncode, "_NIGHTSAFE_COMPLETE" in done.stdout)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert (0, "") == (checked.returncode, checked.stderr)


def test_completion_imports_no_command(user: UserEnvironment) -> None:
    """Completing a command's name imports no command's module."""
    user.environ |= {"_NIGHTSAFE_COMPLETE": "bash_complete", "COMP_WORDS": "nightsafe s", "COMP_CWORD": "1"}

    done = user.run()

    assert ["plain,serve", "plain,secret", "plain,script", "plain,status", "plain,store"] == done.stdout.split()


def test_completion_of_an_unknown_shell_is_refused(user: UserEnvironment) -> None:
    """An unknown shell is refused with the list of known ones."""
    assert "'bash', 'zsh', 'fish'" in user.refusal("completion", "tcsh", code=2)
