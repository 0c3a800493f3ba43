"""The core of the SQLite engine: connections, the writer, the write-ahead log, and the schema."""
