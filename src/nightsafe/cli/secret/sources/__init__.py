"""Where values come from: files, Vault, a prompt."""
