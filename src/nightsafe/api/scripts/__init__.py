"""Serves scripts: `…/workers/scripts` and the routes below a script."""
