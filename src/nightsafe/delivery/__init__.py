"""The delivery side: it alone opens values, and hands them to the scripts they are bound to."""
