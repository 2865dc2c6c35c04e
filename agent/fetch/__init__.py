"""The fetch thread: signed metadata and the bytes of models, kept until they are whole."""
