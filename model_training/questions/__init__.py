"""Questions about frames with their answers: detection, grounding, referring expressions, and reasoning step by step.

``make`` holds ``questions_about``. What words mean is resolved, and every answer computed, by the code of
``n3d_ros.scene`` that does it in the node; ``checked_text`` re-reads each number of a reasoning text.
"""
