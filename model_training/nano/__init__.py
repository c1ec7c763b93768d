"""The small model that is trained from scratch: tokenizer, shapes, first weights."""
