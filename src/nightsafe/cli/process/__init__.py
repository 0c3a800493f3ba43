"""The setup of server processes: signals, standard streams, logs and limits."""
