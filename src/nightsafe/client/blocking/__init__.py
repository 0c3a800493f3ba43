"""The blocking client. `tools/generate_client.py` generates it from `aio`, except `listing.py` and `waiting.py`."""
