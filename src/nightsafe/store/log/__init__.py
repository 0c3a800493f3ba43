"""The form of what the log names: which rows a change wrote, and which it removed."""
