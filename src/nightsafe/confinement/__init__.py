"""Ways for a process to give up rights for good: to files, the network, system calls and capabilities.

A process can also keep others from looking into its memory. No library among the dependencies offers these system
calls, so this package makes them itself. It needs only the standard library, because `delivery/workerd/launch.py`
runs without any other.
"""
