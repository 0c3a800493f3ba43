"""The server's part of delivery: bundles, the change feed, code checks, and delivery processes."""
