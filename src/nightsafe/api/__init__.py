"""HTTP: the Cloudflare v4 wire, and nothing else."""
