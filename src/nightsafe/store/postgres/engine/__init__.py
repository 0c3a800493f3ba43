"""The core of the PostgreSQL engine: addresses, connections, and the schema."""
