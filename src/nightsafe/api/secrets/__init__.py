"""Secret bindings of a script."""
