"""The writes of a change, in SQL, inside the writer's transaction."""
