"""Cloudflare products that Nightsafe does not offer."""
