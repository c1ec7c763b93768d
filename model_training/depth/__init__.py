"""Training of Depth Anything 3 networks: data from generated scenes and RGB-D folders, losses, trainer, releases.

``python -m model_training.depth prepare|train|teach|evaluate --config FILE`` runs the stages of the paper's recipe
(arXiv 2511.10647): a teacher on generated scenes, its labels aligned to measured depth, then the any-view, monocular
and metric students. ``configs/`` holds one documented file for each.
"""
