"""Operating-system services: locks, hosts, disk space, atomic output folders, compiled programs,
memory, worker processes, threads and signals.

Imports only errors, files and paths; any room but the flow folders may import it.
"""
