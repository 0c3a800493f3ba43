"""The blocking client, made from `aio` by `tools/unasync.py`, but for `listing.py` and `waiting.py`."""
