"""Serves the Cloudflare v4 API over HTTP. The use cases are in `services/`."""
