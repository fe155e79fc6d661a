"""The page in the browser: a process of its own that speaks OSC to the daemon and a websocket to browsers."""
