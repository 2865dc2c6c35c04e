"""The depot: serves metadata and blocks, takes what operators hand over, rings the bell."""
