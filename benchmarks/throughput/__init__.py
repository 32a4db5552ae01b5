"""The sides of `benchmarks/train_throughput.py`, each run in a process of its own."""
