"""The asynchronous client. `tools/generate_client.py` makes `blocking` from it, except `listing.py` and `waiting.py`."""
