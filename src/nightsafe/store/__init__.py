"""What is kept, and the one write path to it."""
