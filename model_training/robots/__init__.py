"""From robots' recordings to training data: the node finds boxes, a person corrects them in one text file.

::

    bag -> picked frames -> the node's boxes -> WORK/labels.txt <- a person
                                                     |
                                                     v
                        FrameRecords <- corrected boxes, masks, visible boxes
"""
