"""Smaller numbers: float32 files in, float16, int8 and mixed ones out."""
