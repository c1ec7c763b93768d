"""What a question comes to on a scene: every kind of ``Intent`` computed, worded and explained.

``scene.query.answer`` is the face. ``resolve`` finds the objects that words mean, ``sight`` knows who looks,
``measures`` and ``relations`` compute with their errors, the modules beside them make the answers.
"""
