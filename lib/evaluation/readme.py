"""`python -m lib.evaluation.readme` writes the results of the last run into README.md and docs, at <!-- NAME --> marks.

No number of these tables is written by hand, and a test checks that the pages agree with the files of results/.
"""

import json
import re

import pandas as pd

from lib import paths
from lib.evaluation import report, score_files, verdicts
from lib.evaluation.metrics import metrics
from lib.rehearsal import costs

PAGES = [paths.ROOT / name for name in ("README.md", "docs/results.md", "docs/cluster.md")]
RESULTS = paths.ROOT / "results"
TESTS = ("R", "E", "A")  # whose mean is "wiped"
SHOWN = ("PRNU", "Image", "1D Spectrum", "FFT-2d", "DCT-2d", "GramNet", "Ours (Pix)", "Ours (Stage5)", "Ours (Avg)")
CROSSED = [("PEL", "forged"), ("Multi-Att", "forged"), ("BTS", "forged"), ("Ensemble", "forged"), ("BTS", "ProGAN"),
           ("PEL", "ProGAN"), ("DCT-2d", "ProGAN"), ("Ensemble", "ProGAN")]  # fmt: skip


def table(rows):
    """Return rows, dicts of text, as a table of Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(values, name, digits=3):
    """Return "0.970 [0.949, 0.989]" of a dict with NAME, NAME_low and NAME_high."""
    value, low, high = (f"{values[name + end]:.{digits}f}" for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def claims():
    """How many claims of each table of the papers got each verdict."""
    found = report.read_claims(RESULTS / "claims")
    counts = found.groupby(["place", "verdict"], sort=False).size().unstack(fill_value=0)
    order = [word for word in verdicts.WORDS if word in counts]
    numbers = lambda row: {word: str(row[word]) for word in order}
    return table([{"the paper's claims in": place, **numbers(row)} for place, row in counts.iterrows()])


def networks():
    """The networks of PEL's tables on the bundled faces."""
    found, rows = _metrics("pel_results"), []
    for name, values in found["in_domain"].items():
        changed = found["robustness"][name]
        after = {change: f"{changed[f'{change} dacc']:+.1f} ({changed[f'{change} fake_rate']:.0%})"
                 for change in ("Gaussian blur", "Gaussian noise", "Salt & Pepper")}  # fmt: skip
        rows.append({"network": name, "seeds": str(found["seeds"][name]), "frame AUC": interval(values, "frame_auc"),
                     "frame accuracy": f"{values['frame_accuracy']:.3f}", "video AUC": f"{values['video_auc']:.3f}",
                     **after})  # fmt: skip
    return table(rows)


def spectrum():
    """Beyond the Spectrum's Table 1: means of its cells, in percent."""
    ours, paper = (pd.read_csv(folder / "bts_table1.csv") for folder in (RESULTS / "tables", paths.PAPER_TABLES))
    paper, rows = paper.set_index(["detector", "S"]).drop(columns="avg").astype(float), []
    for row in ours[ours["detector"].isin(SHOWN) & ours["S"].isin(["/", "SR"])].to_dict("records"):
        mean = lambda sides, tests, row=row: pd.Series([row[f"{s}_{t}"] for s in sides for t in tests]).mean()
        cells = {f"{kind}, {name}": f"{mean(sides, tests):.1f}"
                 for kind, sides in (("known", ("P", "S")), ("unknown", ("PtoS", "StoP")))
                 for name, tests in (("raw", ["raw"]), ("wiped", TESTS), ("+P", ["P"]))}  # fmt: skip
        name = row["detector"] + ("" if row["S"] == "/" else f", {row['S']}")
        said = paper.loc[row["detector"], row["S"]].mean()
        rows.append({"detector": name, **cells, "all (paper)": f"{row['avg']:.1f} ({said:.1f})"})
    return table(rows)


def cross():
    """Notebook 10: AUC of detectors that learned forged faces or a generator, on both."""
    found, rows = _metrics("both_papers"), []
    for name, on in CROSSED:
        values, tests = found[f"{name}, trained on {on}"], ("forged", "ProGAN", "StyleGAN")
        cells = {"forged faces" if test == "forged" else test: interval(values, f"auc on {test}") for test in tests}
        rows.append({"detector": name, "trained on": "forged faces" if on == "forged" else on, **cells})
    return table(rows)


def gaps():
    """Distance of the fakes' mean spectrum from that of photographs."""
    found = _metrics("beyond_the_spectrum")["spectral_gap_db"]
    return table([{"generator": name, **{("" if kind == "raw" else "+") + kind: f"{value:.2f} dB" for kind, value in
                                         kinds.items()}} for name, kinds in found.items()])  # fmt: skip


def expect():
    """Numbers of the default run, one training each."""
    psnr, pel = _metrics("re_synthesis")["psnr_of_photographs"], _metrics("progressive_enhancement")
    table1 = pd.read_csv(RESULTS / "tables/bts_table1.csv").set_index(["detector", "S"])
    avg = "Avg, trained on StyleGAN, tested on StyleGAN"
    heat = _metrics("what_the_networks_see")["inside_mask"]["rgb"]
    found = [
        ("02", "PSNR of photographs, the re-synthesizer (bicubic)", f"{psnr['Phi']:.1f} dB ({psnr['bicubic']:.1f})"),
        ("03", "accuracy of the averaged residual detector, StyleGAN",
         f"{_metrics('residual_detectors')[avg]['frame_accuracy']:.3f}"),
        ("04", "Ours (Avg), SR: mean of Table 1", f"{table1.loc[('Ours (Avg)', 'SR'), 'avg']:.1f} %"),
        ("06", "frame AUC of PEL (of its RGB stream alone)",
         f"{pel['pel']['frame_auc']:.3f} ({pel['pel_rgb']['frame_auc']:.3f})"),
        ("09", "heat of the RGB stream inside the mask", f"{heat:.0%}"),
        ("10", "AUC on StyleGAN of PEL trained on ProGAN",
         f"{_metrics('both_papers')['PEL, trained on ProGAN']['auc on StyleGAN']:.3f}"),
    ]  # fmt: skip
    return table([{"notebook": where, "number": what, "this run": value} for where, what, value in found])


def hours():
    """What the papers' full data would take: each stage of an hour or more, and all of them."""
    found = pd.read_csv(costs.FILE)
    total = found[costs.PAGE].sum(numeric_only=True)
    total[["GPU GiB", "RAM GiB"]] = found[["GPU GiB", "RAM GiB"]].max()
    whole = pd.DataFrame([{"stage": "all stages", **total}])
    shown = costs.shown(pd.concat([found.loc[found["hours, 1 GPU"] >= 1, costs.PAGE], whole]))
    return table(shown.to_dict("records"))


def rehearsed():
    """The last rehearsal: each stage at the papers' scale, on stand-ins."""
    found = pd.read_csv(RESULTS / "rehearsal.csv", keep_default_na=False)
    rows = [{"stage": row.stage, "seconds": f"{row.seconds:.0f}", "core-seconds": f"{row.core_seconds:.0f}",
             "peak GiB": f"{row.peak_GiB:.1f}", "made": row.made, "outcome": row.outcome}
            for row in found.itertuples()]  # fmt: skip
    return table(rows)


def official():
    """The weights that MesoNet's authors published, on the samples of real data sets (lib.rivals.meso_official)."""
    rows = []
    for folder in sorted((RESULTS / "real" / "forged" / "official").iterdir()):
        for test, part in score_files.kept(folder / "0.csv.gz").groupby("test"):
            found = metrics(part, part["score"], level="frame", n_bootstrap=500)
            numbers = {"frame AUC": interval(found, "frame_auc"), "accuracy": f"{found['frame_accuracy']:.3f}"}
            rows.append({"official weights": folder.name, "tested on": test, "crops": str(len(part)), **numbers})
    return table(rows)


BLOCKS = {each.__name__: each for each in (claims, networks, spectrum, gaps, cross, expect, hours, rehearsed, official)}


def filled(text):
    """Return a text with all that stands between <!-- NAME --> and <!-- end --> made anew.

    Raises ValueError for a NAME that is not in BLOCKS.
    """

    def made(found):
        if found[1] not in BLOCKS:
            raise ValueError(f"<!-- {found[1]} --> is not one of {', '.join(BLOCKS)}")
        return f"<!-- {found[1]} -->\n{BLOCKS[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n(?:.*?\n)??<!-- end -->", made, text, flags=re.S)


def _metrics(name):
    return json.loads((RESULTS / "metrics" / f"{name}.json").read_text())


if __name__ == "__main__":
    for page in PAGES:
        whole = filled(page.read_text())
        paths.replace(page, lambda file, whole=whole: file.write_text(whole))
