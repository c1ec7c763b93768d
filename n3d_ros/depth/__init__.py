"""Depth Anything 3: depth, confidence, sky and camera poses from colour images, with the released weights unchanged."""
