"""Offline side of n3d_ros: generated scenes now; data, training, evaluation and export of models later."""
