"""DER: the reader, and the structures that hold the keys of each family."""
