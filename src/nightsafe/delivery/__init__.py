"""The delivery process: the only process that opens values. It hands them to the scripts that they are bound to."""
