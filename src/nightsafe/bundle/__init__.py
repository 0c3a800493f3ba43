"""Signed bundles, in which the API hands scripts and their sealed values to the delivery side."""
