"""Serves the requests and reports of delivery processes."""
