"""What can be done with clips: a request goes in, results come out."""
