"""Rotation of recipient keys: shows which keys are in use, and re-encrypts values to the primary key."""
