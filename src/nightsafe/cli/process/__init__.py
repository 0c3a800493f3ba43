"""What every serving process sets up: signals, standard streams, logs, limits."""
