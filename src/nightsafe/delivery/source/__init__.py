"""Where bundles come from, and how their changes are followed."""
