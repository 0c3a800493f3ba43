"""Scripts: `…/workers/scripts` and what hangs below a script."""
