"""HTTP that is no resource: routing, requests, bodies, envelopes, errors, paging, limits."""
