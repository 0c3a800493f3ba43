"""Secret bindings: put, list and delete them, and seal their values."""
