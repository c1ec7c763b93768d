"""Depth from files and into files: images, folders and videos in; depth images, arrays, clouds and previews out."""
