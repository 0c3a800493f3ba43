"""The workerd processes: start, supervision, and the sockets to them."""
