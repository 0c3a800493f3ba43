"""`nightsafe audit`: one module for each way to use the audit log."""
