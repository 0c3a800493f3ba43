"""`nightsafe completion`."""

import click
from click.shell_completion import get_completion_class

from nightsafe.cli.terminal.errors import CommandError

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(*, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    bash: eval "$(nightsafe completion bash)" in ~/.bashrc. zsh: the same in ~/.zshrc, after compinit. fish: nightsafe
    completion fish > ~/.config/fish/completions/nightsafe.fish
    """
    kind, root = get_completion_class(shell), click.get_current_context().find_root().command
    if kind is None:
        raise CommandError(f"nothing is known of {shell}")
    made = kind(root, {}, "nightsafe", "_NIGHTSAFE_COMPLETE")
    # The text itself: asking for `source` would look for the shell, which need not be on this machine.
    click.echo(kind.source_template % made.source_vars())
