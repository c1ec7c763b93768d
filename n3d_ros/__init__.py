"""n3d_ros: where is it, how big, how far, what stands left of it -- in 3-D, on the robot.

The package is layered; each layer imports only those below it (held by ``test/test_architecture.py``)::

    cli/            the ``n3d`` command
    ros/            rclpy, tf2 and message packages live here and nowhere else
    inference/      grounders: an RgbdFrame and a request in, Detection3D out
    scene/ refine/  objects over time; boxes fitted to points
    frame detection the central values
    geometry/       cameras, transforms, point maps, oriented boxes (numpy only)
    errors          one small tree under N3dError
"""

__version__ = "0.1.0"
