"""`nightsafe secret`."""
