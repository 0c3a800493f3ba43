"""Which versions the delivery process may serve, by the approvers file."""
