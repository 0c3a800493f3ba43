"""Signed bundles, in which the API process hands scripts and their sealed values to delivery processes."""
