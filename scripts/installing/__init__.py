"""What scripts/install runs, before anything of Vedette is there: the standard library is all."""
