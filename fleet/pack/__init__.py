"""From a folder or a model's file to a bundle."""
