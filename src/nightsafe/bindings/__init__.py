"""What a binding is: its kinds, their rules, and what of them may be shown."""
