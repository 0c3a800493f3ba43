"""What scripts print and throw, and which scripts run apart, as reported to the log and the API."""
