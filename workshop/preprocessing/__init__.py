"""What the training did to its pictures, carried into the manifest and checked."""
