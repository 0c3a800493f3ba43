"""The asynchronous client. `blocking` is made from it by `tools/unasync.py`, but for `differences.py`."""
