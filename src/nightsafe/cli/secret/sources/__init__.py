"""The sources of values: files, Vault, OpenBao, standard input and a prompt."""
