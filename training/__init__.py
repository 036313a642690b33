"""Training of the network that ships; see train.py for the commands."""
