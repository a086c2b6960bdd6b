"""`python -m lib.params`: say whether params.yaml is valid, and at which scale a run would be."""

from lib.params import ParamsError, load

if __name__ == "__main__":
    try:
        params = load()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    print(f"params.yaml is valid (scale: {params.scale}).")
