"""The page of ``n3d view``: live image, 3-D scene, reports, and a box to ask questions in, in any browser.

``shown``, ``upright``, ``report_window`` and ``texts`` turn messages into what is shown, without ROS or browser.
``node_feed`` and ``camera_feed`` hear the node and its camera while somebody looks, ``composing`` makes one moment of
that, ``asking`` asks the node. ``page_server``, ``page`` and ``visitor`` are the viser side; ``serving`` joins them.
"""
