"""A small model folder to pack, and one that contradicts itself on request. No engine opens it."""

from __future__ import annotations

from pathlib import Path

MANIFEST = """\
schema = 1
name = "digits"
version = "7"
task = "classify"
format = "tflite"
file = "m.tflite"
labels = "labels.txt"
golden = [
  { picture = "a.png", answer = "a.json" },
  { picture = "b.png", answer = "b.json" },
]

[input]  # what it eats
width = 28
height = 28
colour = "rgb"
layout = "NHWC"
dtype = "int8"
mean = [0, 1, 2]

[decoding]
head = "logits"
"""
FILES = ("a.json", "a.png", "b.json", "b.png", "labels.txt", "m.tflite")


def make_folder(folder: Path, model: bytes = b"TFL3") -> Path:
    """A model folder whose model file is `model`."""
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(MANIFEST)
    for name in FILES:
        (folder / name).write_bytes(f"content of {name}\n".encode())
    (folder / "m.tflite").write_bytes(model)
    return folder
