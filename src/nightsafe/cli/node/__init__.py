"""`nightsafe node`: the API nodes that serve one database, each with a signing key of its own."""
