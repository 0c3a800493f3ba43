"""The schema's migrations, in SQL."""
