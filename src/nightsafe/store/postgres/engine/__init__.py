"""The core of the PostgreSQL engine: connections, the reader, the writer, and the schema."""
