"""Models made here: a stand-in tokenizer and random networks for tests and measurements."""
