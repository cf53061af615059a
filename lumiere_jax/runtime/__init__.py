"""What a process shares with its machine: locks, hosts, disk space, folders put in place whole,
compiled programs, memory, worker processes, threads and signals. Imports errors, files and paths
alone; any room but the flow folders may import it.
"""
