"""From networks in PyTorch to ONNX graphs of standard operations, for ONNX Runtime and TensorRT."""
