"""ports: the verb that shows what MIDI ports there are to listen to and to play to."""


def ports() -> None:
    """List the MIDI ports of this machine, as --listen-to and --play-to want them named."""
    from bridge.cli.show import console
    from bridge.config import Config
    from bridge.midi.system import list_ports

    config = Config()
    listing = list_ports(config.midi_api)
    own = (*config.midi_in, *config.midi_out)
    for use, names in (("listen to", listing.sources), ("play to", listing.destinations)):
        for name in names:
            mark = "  (vaebridge's own)" if name.startswith(own) else ""
            console().print(f"{use:9}  {name}{mark}")
    if not listing.sources and not listing.destinations:
        console().print(f"{listing.api} has no MIDI ports yet; `vaebridge serve` makes its own")
