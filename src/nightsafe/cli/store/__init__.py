"""The commands about the PostgreSQL database of a safe."""
