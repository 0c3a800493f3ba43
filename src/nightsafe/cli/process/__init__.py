"""The setup of serving processes: signals, standard streams, logs and limits."""
