"""Data sets for training and evaluation: what a frame and a question are, and how they lie in files."""
