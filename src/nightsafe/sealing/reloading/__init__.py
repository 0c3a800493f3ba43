"""Key files that are reloaded when they change, so that a rotation needs no restart."""
