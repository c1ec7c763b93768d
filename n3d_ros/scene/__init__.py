"""The scene: objects with stable ids in one frame, kept from look to look, and answers about them.

``scene`` holds the snapshot and its update, ``association`` who is who, ``fusion`` how boxes settle, ``visibility``
what an empty place means, ``history`` earlier snapshots, ``phrases`` and ``query`` words. Numpy only, and no ROS.
"""
