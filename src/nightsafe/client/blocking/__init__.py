"""The blocking client. `tools/unasync.py` generates it from `aio`, except `listing.py` and `waiting.py`."""
