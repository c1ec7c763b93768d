"""How fast a model is on this machine: what ``n3d bench speed`` measures, without ROS.

::

    frames -> looks (whole frames, stage by stage) -+
           -> answers (the model alone, beside      +-> rows -> one table, one line of JSON
              transformers' own generate)          -+
    meters: memory, bandwidth, power

The node's part is in ``n3d_ros.ros.measuring``.
"""
