"""The settings of a command, and the server that it talks to."""
