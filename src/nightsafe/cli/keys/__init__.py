"""`nightsafe keys`: recipient keys and their rotation."""
