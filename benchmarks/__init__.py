"""Measurements: accuracy on real and generated frames, latency and load of the running node."""
