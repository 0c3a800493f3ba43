"""`nightsafe store`: the database of a safe."""
