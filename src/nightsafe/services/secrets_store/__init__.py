"""The Secrets Store: stores, their secrets, and the scripts bound to them."""
