"""What the delivery process keeps: verified bundles, module bodies, the highest serials seen."""
