"""TensorRT: engines built of exported graphs, a cache that says what it holds, the language model's runtime."""
