"""The HTTP code that all resources share: routing, requests, bodies, envelopes, errors, paging, limits."""
