"""What a process gives up for good: a look into its memory, files, the network, system calls, capabilities.

No library that is at hand offers these system calls, so they are made here. Only the standard library is needed, for
`delivery/workerd/launch.py` runs without any other.
"""
