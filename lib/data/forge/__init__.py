"""The bundled forgeries: four methods, each the real thing in small. `python -m lib.data.forge` makes them all."""
