"""Exports of the whole audit log: JSON lines with proofs, which can be verified alone, and CSV for people."""
