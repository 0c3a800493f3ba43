"""`nightsafe audit witness`: a witness of transparency logs, on a machine of its own."""
