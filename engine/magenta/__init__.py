"""Published MusicVAE and GrooVAE checkpoints: read in both of their formats, written as weights of ours."""
