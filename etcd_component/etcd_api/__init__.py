"""A client for etcd's HTTP API, for the agent, the command line and the benchmarks alike.

Standard library only, and Python 3.9: it is packed into the program that runs on nodes.
"""
