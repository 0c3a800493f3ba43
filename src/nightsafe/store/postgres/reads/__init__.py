"""The reads of the store interface, in SQL."""
