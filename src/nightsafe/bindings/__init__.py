"""Bindings: their types, the rules of each type, and the parts that reads may show."""
