"""The Max for Live devices: their sources in code/, the files that Live loads in built/.

The modules import one way: amxd, parameter, patcher, controls, devices, picture, build. None knows the daemon.
"""
