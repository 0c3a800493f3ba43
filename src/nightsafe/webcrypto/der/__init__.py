"""DER: the reader, and the structures that keys of each family come in."""
