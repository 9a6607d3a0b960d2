"""From trained weights to an ONNX file that is ready for a backend."""
