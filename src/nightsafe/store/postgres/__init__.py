"""The PostgreSQL engine, for safes with more than one API node. Its schema is that of the SQLite engine."""
