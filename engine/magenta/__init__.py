"""Published MusicVAE and GrooVAE checkpoints: read in both of their formats, written in our weights format."""
