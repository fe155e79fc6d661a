"""Playing in time: clocks, recorder, live modes, scheduler. Pure: time is passed in, messages leave by callback."""
