"""The workshop: from a trained model to a small, fast, proven one. Nothing on a device needs it."""
