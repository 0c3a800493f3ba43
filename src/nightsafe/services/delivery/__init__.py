"""What the delivery side fetches: bundles, the change feed, code checks, processes."""
