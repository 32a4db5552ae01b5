"""What `benchmarks.planted_worlds` is made of."""
