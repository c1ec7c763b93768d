"""From what data sets hold to what the network takes: prompts, answers, token ids, what is learnt of them, batches.

::

    FrameRecord, QuestionRecords -> Look            a frame with its objects, perhaps changed (augment)
    Look                         -> Turns           prompt and answer of each question (answers, tokens)
    Look + Turns                 -> FrameExample    with the image as the node encodes it (example)
    FrameExamples                -> batch           one row per frame, its questions behind one image (packing)
"""
