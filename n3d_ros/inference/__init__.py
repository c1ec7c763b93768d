"""Grounders: an RgbdFrame and a request in, Detection3D out."""
