"""What a question asks: words read into a ``Question``, without looking at any scene.

``question`` holds the types, ``reading`` the way from words to them.
"""
