"""Answers requests for Cloudflare products that Nightsafe does not offer."""
