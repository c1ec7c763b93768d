"""How right depth, poses and the surfaces made of both are: the measures of the Visual Geometry Benchmark, and data.

The measures are numpy and SciPy; only ``fusion`` needs Open3D (the extra [eval]), and imports it when it is called.
"""
