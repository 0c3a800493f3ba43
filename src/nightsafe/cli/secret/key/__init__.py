"""`nightsafe secret key`: cryptographic keys as secrets."""
