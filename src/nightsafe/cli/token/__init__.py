"""`nightsafe token`."""
