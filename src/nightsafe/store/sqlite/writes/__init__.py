"""The writes of a change, in SQL, inside the transaction that the writer holds."""
