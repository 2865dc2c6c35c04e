"""What becomes of boxes after the model: filtered, numbered, held against zones and lines."""
