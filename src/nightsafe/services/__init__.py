"""The use cases of Nightsafe: scripts, their versions, and their secret bindings."""
