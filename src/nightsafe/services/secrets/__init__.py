"""Secret bindings: put, list, delete, and the sealing of their values."""
