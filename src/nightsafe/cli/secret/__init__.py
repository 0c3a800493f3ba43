"""`nightsafe secret`: puts, lists, compares and deletes the secrets of a script."""
