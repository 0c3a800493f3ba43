"""Caches of the delivery process: verified bundles, module bodies, the highest serials seen."""
