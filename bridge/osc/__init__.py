"""The OSC edge and its language: datagrams, the one table of addresses, requests read and replies written."""
