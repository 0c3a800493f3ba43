"""What workerd loads: the code, the environment with opened values, and the frame they travel in."""
