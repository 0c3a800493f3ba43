"""Several API processes of one server, and what an API process inherits from its parent."""
