"""How an operator hands a release over to the depot."""
