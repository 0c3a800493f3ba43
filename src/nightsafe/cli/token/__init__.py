"""`nightsafe token`: API tokens, for the operator at the machine."""
