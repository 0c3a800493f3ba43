"""What the API hands to the delivery side: a script as it is to be served, sealed values and all, signed."""
