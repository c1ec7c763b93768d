"""Checkpoints as files: finding or fetching a folder, reading safetensors as a stream, devices and memory."""
