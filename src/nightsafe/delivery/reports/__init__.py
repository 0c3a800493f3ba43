"""Reports to the log what scripts print and throw, and to the API which scripts are not served as deployed."""
