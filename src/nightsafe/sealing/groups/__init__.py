"""Sealed values of version 2: values of one group share one HPKE encapsulation. See `docs/sealed-format.md`."""
