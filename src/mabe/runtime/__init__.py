"""The machine, which knows nothing of animals.

Files written whole, disk arrays, object storage, executors and Ray, devices, process
groups, and what commands print.
"""
