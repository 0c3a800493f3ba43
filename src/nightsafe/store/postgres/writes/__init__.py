"""The writes of a change, in SQL."""
