"""The daemon as a musician: clocks, recorder, live modes, scheduler. Pure: time is passed in, messages leave."""
