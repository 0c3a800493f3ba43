"""Output for people: tables, progress, questions and errors."""
