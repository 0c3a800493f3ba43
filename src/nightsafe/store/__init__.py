"""The store's data types, its interface, and its only write path."""
