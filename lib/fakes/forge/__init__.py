"""The bundled forgeries: small versions of four known methods, all made by `python -m lib.fakes.forge`."""
