"""What the fleet wants here, and how a model comes into a pipeline: check, trial, roll back."""
