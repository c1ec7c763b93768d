"""Between frames and tokens: images to patches, boxes to text, text to boxes. numpy, Pillow and the tokenizer alone."""
