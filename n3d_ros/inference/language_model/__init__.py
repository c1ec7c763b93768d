"""The language model behind the grounder's interface: frame and words in, boxes out."""
