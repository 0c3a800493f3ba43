"""The name, the one-line help and the module of every command, available without loading the commands."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias


class Leaf(NamedTuple):
    """A command, or a group that one module defines together with its commands.

    Attributes:
        module: the module's name below `nightsafe.cli`.
        help: one line of help.
        extra: the extra of the distribution that the command needs.
        children: the names of the commands in a group; empty for a command.
        command: the name of the command in its module.
    """

    module: str
    help: str
    extra: str
    children: tuple[str, ...] = ()
    command: str = "command"


class Branch(NamedTuple):
    """A group whose commands are in separate modules.

    Attributes:
        help: one line of help.
        children: the group's commands and groups, by name.
    """

    help: str
    children: "Mapping[str, Node]"


Node: TypeAlias = Leaf | Branch

_SERVER, _CLI = "server", "cli"

TREE: Mapping[str, Node] = {
    "init": Leaf("safe.init", "Create a new safe.", _SERVER),
    "serve": Leaf("server.serve", "Serve the API of a safe.", _SERVER),
    "deliver": Leaf("server.deliver", "Deliver secrets to Workers scripts.", _SERVER),
    "run": Leaf("server.run", "Serve the API and deliver secrets on one machine.", _SERVER),
    "delivery": Branch(
        "Manage the state of a delivery process.",
        {
            "accept-restore": Leaf(
                "delivery.accept_restore", "Accept the API's log after an intended restore.", _SERVER
            )
        },
    ),
    "keys": Leaf(
        "keys.commands",
        "Rotate the keys that values are sealed to.",
        _SERVER,
        ("reseal", "status", "rotate", "sign", "install", "retire", "remove"),
    ),
    "node": Leaf(
        "node.commands", "Add and retire the API nodes of one database.", _SERVER, ("add", "list", "retire")
    ),
    "token": Leaf(
        "token.commands",
        "Create, list, roll and revoke API tokens.",
        _SERVER,
        ("create", "list", "roll", "revoke", "refused-rows"),
    ),
    "account": Leaf("account", "Create and list accounts.", _SERVER, ("create", "list")),
    "user": Leaf("user", "Create users.", _SERVER, ("create",)),
    "secret": Branch(
        "Put, list, compare and delete the secrets of a script.",
        {
            "put": Leaf("secret.put", "Put one secret.", _CLI),
            "get": Leaf("secret.get", "Show the metadata of one secret, never its value.", _CLI),
            "list": Leaf("secret.list_", "List the secrets of a script.", _CLI),
            "delete": Leaf("secret.delete", "Delete secrets.", _CLI),
            "bulk": Leaf("secret.bulk", "Put and delete the secrets listed in a file, as one version.", _CLI),
            "import": Leaf("secret.import_", "Import secrets from a file, Vault or OpenBao.", _CLI),
            "diff": Leaf("secret.diff", "Show the changes that `apply` would make.", _CLI),
            "apply": Leaf("secret.apply", "Change a script's secrets to match a file.", _CLI),
            "key": Branch(
                "Generate or import a cryptographic key.",
                {
                    "generate": Leaf(
                        "secret.key.generate", "Generate a key and put it; the private half is not shown.", _CLI
                    ),
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
            "list": Leaf("version", "List versions, newest first.", _CLI, command="list_command"),
            "show": Leaf("version", "Show one version.", _CLI, command="show_command"),
        },
    ),
    "deployment": Branch(
        "List and show the deployments of a script.",
        {
            "list": Leaf("deployment", "List deployments, newest first.", _CLI, command="list_command"),
            "show": Leaf("deployment", "Show one deployment.", _CLI, command="show_command"),
        },
    ),
    "ring": Leaf(
        "ring", "Show or trust the server's key ring, which values are sealed to.", _CLI, ("show", "trust", "forget")
    ),
    "approve": Leaf("approval.approve", "Approve a version of a script for delivery.", _CLI),
    "approver": Leaf("approval.approver", "Create a key that approves versions.", _CLI, ("create",)),
    "rollback": Leaf("rollback", "Deploy an earlier version again.", _CLI),
    "status": Leaf("status", "Show the delivery processes and the scripts they hold apart.", _CLI),
    "whoami": Leaf("whoami", "Show the owner of the credentials.", _CLI),
    "migrate": Leaf("migrate", "State in the log what an older version wrote.", _SERVER),
    "store": Branch(
        "Manage the database of a safe.",
        {
            "copy": Leaf("store.copy", "Copy a safe's rows to another database, and verify them.", _SERVER),
            "grants": Leaf("store.grants", "Print the rights that the serving role needs.", _SERVER),
        },
    ),
    "doctor": Leaf("doctor.command", "Check a safe for problems and suggest fixes.", _SERVER),
    "backup": Leaf("safe.backup", "Copy a safe to one file, even while it is being served.", _SERVER),
    "restore": Leaf("safe.restore", "Restore a safe from a backup.", _SERVER),
    "audit": Branch(
        "Verify, export, read and witness the audit log.",
        {
            "verify": Leaf("audit.verify", "Verify the log and the database, without the server.", _SERVER),
            "export": Leaf("audit.export", "Write the whole log to a file.", _SERVER),
            "archive": Leaf("audit.archive", "Move old entries into files.", _SERVER),
            "list": Leaf("audit.list_", "List entries, the newest first.", _SERVER),
            "show": Leaf("audit.show", "Show one entry and what it wrote.", _SERVER),
            "watch": Leaf("audit.watch", "Print each new entry.", _SERVER),
            "key": Leaf("audit.public_parts", "Print the public keys of the log.", _SERVER, command="key"),
            "checkpoint": Leaf(
                "audit.public_parts", "Print the newest checkpoint of the log.", _SERVER, command="checkpoint"
            ),
            "witness": Branch(
                "Cosign the checkpoints of logs that have only grown.",
                {
                    "init": Leaf("witness.init", "Create a witness with a key of its own.", _SERVER),
                    "serve": Leaf("witness.serve", "Serve a witness.", _SERVER),
                    "forget": Leaf("witness.forget", "Forget the last checkpoint of a log.", _SERVER),
                },
            ),
        },
    ),
    "completion": Leaf("completion", "Print a shell completion script.", _CLI),
}


def leaves(nodes: Mapping[str, Node] = TREE, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield every leaf with the words of its command line."""
    for name, node in nodes.items():
        if isinstance(node, Branch):
            yield from leaves(node.children, (*prefix, name))
        else:
            yield (*prefix, name), node
