"""Golden files: what a recording is expected to show, kept beside it and compared with later runs."""
