"""What runs on a machine: `etcd-node` for members, `etcd-monitor` for the monitor.

Standard library only, and Python 3.9. `packing` makes one file of it.
"""
