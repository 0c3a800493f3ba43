"""The SQLite engine itself: connections, the writer, the write-ahead log, the schema."""
