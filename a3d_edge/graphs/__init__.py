"""ONNX graphs read without an engine: what they hold, and whether they are such as an export writes."""
