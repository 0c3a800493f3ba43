"""Every command's name, one line of help and module, known without loading any of them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias


class Leaf(NamedTuple):
    """A command, or a group that its module makes by itself.

    Attributes:
        module: below `nightsafe.cli`.
        help: one line.
        extra: what must be installed for it.
        children: of a group.
        command: the command's name in its module.
    """

    module: str
    help: str
    extra: str
    children: tuple[str, ...] = ()
    command: str = "command"


class Branch(NamedTuple):
    """A group whose commands are modules of their own.

    Attributes:
        help: one line.
        children: by name.
    """

    help: str
    children: "Mapping[str, Node]"


Node: TypeAlias = Leaf | Branch

_SERVER, _CLI = "server", "cli"

TREE: Mapping[str, Node] = {
    "init": Leaf("safe.init", "Make a new safe.", _SERVER),
    "serve": Leaf("server.serve", "Serve the API of a safe.", _SERVER),
    "deliver": Leaf("server.deliver", "Deliver secrets to Workers scripts.", _SERVER),
    "run": Leaf("server.run", "Serve and deliver, on one machine.", _SERVER),
    "keys": Leaf(
        "keys.commands",
        "Rotate the keys that values are sealed to.",
        _SERVER,
        ("reseal", "status", "rotate", "sign", "install", "retire", "remove"),
    ),
    "token": Leaf(
        "token.commands", "Make, list, roll and revoke API tokens.", _SERVER, ("create", "list", "roll", "revoke")
    ),
    "account": Leaf("account", "Make and list accounts.", _SERVER, ("create", "list")),
    "user": Leaf("user", "Make users.", _SERVER, ("create",)),
    "secret": Branch(
        "Put, list, compare and delete the secrets of a script.",
        {
            "put": Leaf("secret.put", "Put one secret.", _CLI),
            "get": Leaf("secret.get", "Show what is known of one secret; never its value.", _CLI),
            "list": Leaf("secret.list_", "List the secrets of a script.", _CLI),
            "delete": Leaf("secret.delete", "Delete secrets.", _CLI),
            "bulk": Leaf("secret.bulk", "Put and delete all that a file says, in one version.", _CLI),
            "import": Leaf("secret.import_", "Take secrets over from a file, Vault or OpenBao.", _CLI),
            "diff": Leaf("secret.diff", "Show what a file would change.", _CLI),
            "apply": Leaf("secret.apply", "Make a script's secrets those of a file.", _CLI),
            "key": Branch(
                "Make or import a cryptographic key.",
                {
                    "generate": Leaf("secret.key.generate", "Make a new key; the private half is not shown.", _CLI),
                    "import": Leaf("secret.key.import_", "Put a key from PEM, DER, JWK or raw bytes.", _CLI),
                },
            ),
        },
    ),
    "script": Branch(
        "List and show scripts.",
        {
            "list": Leaf("script", "List the scripts of an account.", _CLI, command="list_command"),
            "show": Leaf("script", "Show one script.", _CLI, command="show_command"),
        },
    ),
    "version": Branch(
        "List and show the versions of a script.",
        {
            "list": Leaf("version", "List versions, the newest first.", _CLI, command="list_command"),
            "show": Leaf("version", "Show one version.", _CLI, command="show_command"),
        },
    ),
    "deployment": Branch(
        "List and show the deployments of a script.",
        {
            "list": Leaf("deployment", "List deployments, the newest first.", _CLI, command="list_command"),
            "show": Leaf("deployment", "Show one deployment.", _CLI, command="show_command"),
        },
    ),
    "ring": Leaf("ring", "Show and trust the ring that values are sealed to.", _CLI, ("show", "trust", "forget")),
    "rollback": Leaf("rollback", "Serve an earlier version again.", _CLI),
    "status": Leaf("status", "Show who delivers scripts, and which are held apart.", _CLI),
    "whoami": Leaf("whoami", "Show whom the credentials belong to.", _CLI),
    "doctor": Leaf("doctor.command", "Look for what is wrong with a safe, and say what to do.", _SERVER),
    "backup": Leaf("safe.backup", "Copy a safe into one file, also while it is served.", _SERVER),
    "restore": Leaf("safe.restore", "Make a safe from a backup.", _SERVER),
    "completion": Leaf("completion", "Print what makes a shell complete commands.", _CLI),
}


def leaves(nodes: Mapping[str, Node] = TREE, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Every leaf with the words that lead to it."""
    for name, node in nodes.items():
        if isinstance(node, Branch):
            yield from leaves(node.children, (*before, name))
        else:
            yield (*before, name), node
