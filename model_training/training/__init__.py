"""Training of grounding models: localisation first, then reasoning, on transformers' Trainer.

::

    TrainConfig (one YAML)  ->  network.TrainedModel (the node's model, its losses, the dense head)
    batches of examples     ->  trainer.GroundingTrainer (steps, checkpoints)  ->  release (a folder for ``model:=``)
"""
