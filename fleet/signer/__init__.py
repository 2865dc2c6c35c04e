"""The signer: judges what the release key has signed and adds the online signatures."""
