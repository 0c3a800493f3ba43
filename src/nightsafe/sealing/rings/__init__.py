"""Key rings: public and private, their common file format, and the signed links from one ring to the next."""
