"""The bundled forgeries: four methods, each the real thing in small. `python -m lib.fakes.forge` makes them all."""
