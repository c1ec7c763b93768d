"""The fast generator: the catalogue's objects met by rays, no physics and no OpenGL, for the first phase of training.

The same categories with the same geometry as the rendered scenes, upright or lying on a table or floor, simple shading
and shadows, exact depth, the same truth. Needs numpy and OpenCV alone.
"""

from model_training.scenes.raycast.records import cast_frames, raycast_records

__all__ = ["cast_frames", "raycast_records"]
