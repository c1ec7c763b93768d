"""The ``n3d`` command: replay, record, run, locate, demo."""
