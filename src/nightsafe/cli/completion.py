"""`nightsafe completion`: prints a shell completion script."""

import click
from click.shell_completion import get_completion_class

from nightsafe.cli.terminal.errors import CommandError

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(*, shell: str) -> None:
    """Print a script that makes a shell complete commands, options and names.

    bash: add eval "$(nightsafe completion bash)" to ~/.bashrc. zsh: add eval "$(nightsafe completion zsh)" to
    ~/.zshrc, after compinit. fish: run nightsafe completion fish > ~/.config/fish/completions/nightsafe.fish
    """
    kind, root = get_completion_class(shell), click.get_current_context().find_root().command
    if kind is None:
        raise CommandError(f"there is no completion script for {shell}")
    new = kind(root, {}, "nightsafe", "_NIGHTSAFE_COMPLETE")
    # Fill in the template: `source` would look for the shell, which may be absent on this machine.
    click.echo(kind.source_template % new.source_vars())
