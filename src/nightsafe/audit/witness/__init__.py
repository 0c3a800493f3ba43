"""A witness of transparency logs: C2SP tlog-witness. It cosigns the checkpoints of logs that have only grown."""
