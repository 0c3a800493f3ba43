"""The delivery side: the only part that opens values. It hands them to the scripts that they are bound to."""
