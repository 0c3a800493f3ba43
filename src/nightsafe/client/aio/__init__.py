"""The asynchronous client. `tools/unasync.py` generates `blocking` from it, except `listing.py` and `waiting.py`."""
