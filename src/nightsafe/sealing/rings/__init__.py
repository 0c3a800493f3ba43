"""Key rings: public and private, their common file format, and the signed line from one ring to the next."""
