"""TLS files of the server: checked, copied, tried and reloaded."""
