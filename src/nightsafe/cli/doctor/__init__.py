"""`nightsafe doctor`: one module for each part that is examined."""
