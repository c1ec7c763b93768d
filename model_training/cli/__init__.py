"""Subcommands of ``n3d`` that make and use data sets and models; registered by entry points in setup.py."""
