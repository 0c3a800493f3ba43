"""The schema's migrations, one numbered SQL file each. A released file never changes."""
