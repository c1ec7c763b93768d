"""What a scene answers: a ``Question`` computed on boxes, with the steps shown. No words are read here."""
