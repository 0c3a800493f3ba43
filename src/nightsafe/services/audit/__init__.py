"""The use cases of the audit log: reading it, and recording requests that change nothing."""
