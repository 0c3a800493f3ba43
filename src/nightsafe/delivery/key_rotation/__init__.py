"""Values re-encrypted to the primary key after a rotation."""
