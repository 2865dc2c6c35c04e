"""The runtime process: camera -> preprocess -> inference -> result."""
