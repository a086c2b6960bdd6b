"""Does a test notice when the science is wrong? `python tests/mutations.py [WORD ...]` tries one error after another.

Each row of MUTATIONS puts one scientific error into a copy of the checkout and runs the tests that should notice it.
A line says what became of it: "red" (a test failed, as it should), "STAYS GREEN", or why it could not be tried.
WORD: try only rows whose file or error holds one of these words. The exit status is 1 if more than ALLOWED rows stay
green, if a row could not be tried, or if tests fail without any error. `make test` does not run this script.
"""

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = 2

# fmt: off
# A row: file in lib; the error; the tests that should notice it; the right text, once in the file; the wrong text.
# Tests: "" for all of the mirror of the file; a word for those of the mirror with this word in their names; or
# "folder/test_file", "folder/test_file word" for those of another file; [case] for one case of theirs.
MUTATIONS = [
    # Data, labels, splits
    ("data/layouts", "photographs are split, not people", "",
     'split_of(identity, seed) for identity in table["identity"]', 'split_of(video, seed) for video in table["video"]'),
    ("data/layouts", "a person in two splits is not told", "", "(n_splits > 1).any():", "(n_splits > 3).any():"),
    ("data/layouts", "one person in 50 is tested, not one in 5", "", "VAL_SHARE = 0.2, 0.1", "VAL_SHARE = 0.02, 0.1"),
    ("data/layouts", "the seed has no say in the splits", "", '(f"{seed}/{identity}".encode())', "(identity.encode())"),
    ("data/video_sets", "FaceForensics++: originals are called fake", "data/test_layouts faceforensics",
     'int(method != "original")', 'int(method == "original")'),
    ("data/video_sets", "FaceForensics++: a fake belongs to its source person", "data/test_layouts faceforensics",
     '{partner}"): (name, split)', '{partner}"): (partner, split)'),
    ("data/video_sets", "DFDC: labels flipped", "data/test_layouts dfdc", 'int(kind == "fake")', 'int(kind == "real")'),
    ("data/video_sets", "Celeb-DF: fakes are called real", "data/audit/test_main celeb",
     '"Celeb-synthesis": 1}', '"Celeb-synthesis": 0}'),
    ("data/items", "grey levels are divided by 256", "", "pixels.float() / 255", "pixels.float() / 256"),
    ("data/items", "each epoch mirrors the same images", "", "self.epoch, index))", "index))"),
    ("data/items", "each epoch has the same fakes", "",
     "generator.choice(side, count, replace=False)", "side[:count]"),
    ("data/items", "training is not balanced", "",
     "generator.choice(side, count, replace=False)", "generator.permutation(side)"),
    ("data/image", "images are shrunk by leaving out pixels", "data/test_items resizing",
     "cv2.INTER_AREA if size < side", "cv2.INTER_NEAREST if size < side"),
    ("backbones/imagenet", "images are not divided by ImageNet's deviation", "pel/test_network two_plain_networks",
     "return (rgb - mean) / std", "return rgb - mean"),
    ("bts/sets", "a detector of one generator sees the fakes of all", "",
     '(table["method"] == generator)', '(table["label"] == 1)'),
    ("bts/train", "test images choose the epoch", "loaded_until_something",
     'for split in ("train", "val"))', 'for split in ("train", "test"))'),
    ("bts/testing", "BTS's tests score training images", "bts/test_score test_images_alone",
     'for split in ("val", "test"))', 'for split in ("val", "train"))'),
    ("bts/testing", "+R, +A and FFHQ are of training images", "bts/test_score test_images_alone",
     'sets.rows(other, "test", 1 if', 'sets.rows(other, "train", 1 if'),
    ("bts/testing", "calibration sees the unknown generator", "bts/test_score holds_every_test",
     "val = val.iloc[sets.of_source(val, source)].reset_index(drop=True)", "val = val.reset_index(drop=True)"),
    ("bts/testing", "robustness curves change fakes alone", "bts/test_score curves_change",
     "fakes_only=False", "fakes_only=True"),
    ("bts/re_synthesis", "the re-synthesizer learns from fakes, too", "trained_again_where",
     'rows(table, "train", 0), rows(table, "val", 0)', 'rows(table, "train"), rows(table, "val", 0)'),
    ("pel/sets", "PEL's tables are of training faces", "pel/test_score on_its_test_people",
     'table = table[table["split"] == "test"]', 'table = table[table["split"] == "train"]'),
    ("pel/train", "test faces choose the epoch", "repeated_only_when",
     'table.groupby("split")}', 'table.groupby(table["split"].replace({"val": "test", "test": "val"}))}'),
    ("pel/ablations", "Tables 4 and 5 are of validation faces", "people_that_it_did_not_learn",
     'tests = {where: table[table["split"] == "test"]', 'tests = {where: table[table["split"] == "val"]'),
    # Changes of images: +P, Table 3, +E
    ("data/perturb", "the variance of +P's noise is taken for its deviation", "", "variance**0.5)", "variance)"),
    ("data/perturb", "+P changes photographs, too", "", "fakes_only=True):", "fakes_only=False):"),
    ("data/perturb", "a change of +P comes nine times in ten", "", "random(4) < 0.5", "random(4) < 0.9"),
    ("data/perturb", "a change depends on an image's place, not on its name", "",
     "random_of(self.names[index], self.seed)", "random_of(index, self.seed)"),
    ("data/changes", "too dark by one", "bts/test_wiped files_hold", '["rgb"]).round()', '["rgb"] - 1).round()'),
    ("data/perturb", "Table 3: salt and pepper of 50 %", "pel/test_tables", "0.01, 0.02, 0.05)", "0.1, 0.2, 0.5)"),
    ("data/changes", "Table 3: OpenCV's deviation of a blur", "pel/test_tables", "sigma=kernel / 6", "sigma=0"),
    ("bts/wiped", "+E takes the spectrum of test photographs", "files_hold",
     'photographs, given = sets.rows(table, "train", 0)', 'photographs, given = sets.rows(table, "test", 0)'),
    ("ops/equalization", "+E: the sum over a ring is taken for its mean", "", "* quarter.count / total", "/ total"),
    # Beyond the Spectrum
    ("bts/re_synthesizer", "Eq. 1: images are shrunk by leaving out pixels", "bts/test_detector",
     "return F.avg_pool2d(rgb, factor)", "return rgb[..., ::factor, ::factor]"),
    ("bts/detector", "Eq. 2: residuals keep their sign", "", "[1]).abs()", "[1])"),
    ("bts/perceptual", "Eq. 3: each stage has the weight of the one before", "", "weights[1:]", "weights[:-1]"),
    ("bts/perceptual", "the re-synthesizer learns from the released loss", "",
     "settings.loss)\n\n    return equation1", '"released")\n\n    return equation1'),
    ("bts/perceptual", "the re-synthesizer learns without Omega", "",
     'model(degrade(box_mean(batch["rgb"], settings.factor), torch.default_generator))',
     'model(box_mean(batch["rgb"], settings.factor))'),
    ("bts/re_synthesis", "a re-synthesizer's worst epoch is kept", "best_is_kept", '"mode": "min"', '"mode": "max"'),
    ("bts/detector", "Eq. 4: the stages exchange their weights", "", "(stage_weights /", "(stage_weights.flip(0) /"),
    ("bts/detector", "labels flipped in the loss of BTS", "",
     'labels = batch["label"].long()', 'labels = 1 - batch["label"].long()'),
    ("bts/degradations", "SR+D: noise of 10 grey levels", "", "DEVIATION = 4 / 255", "DEVIATION = 10 / 255"),
    ("bts/patches", "each epoch has the same patches", "", "(self.seed, self.epoch, index)", "(self.seed, index)"),
    ("bts/joint_model", "fakes are re-synthesized, photographs are not", "", "rgb[label == 0],", "rgb[label == 1],"),
    ("bts/residuals", "residuals of another re-synthesizer are taken", "", "[maker + _digest(", "[_digest("),
    ("bts/tables", "Table 1: known and unknown generator are exchanged", "",
     '_{test}": (on, test, tested)', '_{test}": (tested, test, on)'),
    ("bts/tables", "validation images count in the tables", "",
     'scored[scored["test"] == BOTH.get(test, test)]', 'scored[scored["test"].isin([test, "val"])]'),
    ("bts/tables", "learned weights of the stages are fitted on test images", "",
     'val = (scored["test"] == "val")', 'val = (scored["test"] != "val")'),
    # PEL
    ("ops/dct", "Eq. 1: Cr has the sign of Cb", "", "(0.5, -0.418688, -0.081312)", "(-0.5, 0.418688, 0.081312)"),
    ("ops/dct", "Eq. 1: the DCT is not orthonormal", "", "matrix[0] /= math.sqrt(2)", "matrix[0] /= 2"),
    ("ops/denoise", "Eq. 2: noise has the wrong sign", "pel/test_network its_own_denoiser",
     "(x - DENOISERS[denoiser](x, size)).sigmoid()", "(DENOISERS[denoiser](x, size) - x).sigmoid()"),
    ("pel/network", "Eq. 4: no maximum is pooled", "equation_4", "x.mean((2, 3)) + x.amax((2, 3))", "x.mean((2, 3))"),
    ("pel/network", "Eq. 5: the streams exchange their attention", "equations_5_and_6",
     ".sigmoid().split(1, dim=1)", ".sigmoid().flip(1).split(1, dim=1)"),
    ("pel/network", "Eq. 6: attention has no say", "equations_5_and_6", "None] * (x * a)", "None] * x"),
    ("pel/network", "Eq. 7: labels flipped in the loss of PEL", "test_detectors [RGB]",
     '(model(batch["rgb"]), batch["label"].float())', '(model(batch["rgb"]), 1 - batch["label"].float())'),
    ("pel/tables", "Table 1 has networks on foreign data", "", " and (trained == test or qualities):", ":"),
    ("pel/tables", "Table 3: another strength of noise", "", '{"Gaussian noise": 2', '{"Gaussian noise": 1'),
    ("pel/tables", "a loss of AUC is called a gain", "", "np.round(new - old, 12)", "np.round(old - new, 12)"),
    # Rivals
    ("backbones/resnet", "labels flipped in image_loss", "test_detectors [Image]",
     '(model(batch["rgb"]), batch["label"].long())', '(model(batch["rgb"]), 1 - batch["label"].long())'),
    ("rivals/xception", "labels flipped in the loss of Xception", "test_detectors [Xception]",
     '(model(batch["rgb"]), batch["label"].float())', '(model(batch["rgb"]), 1 - batch["label"].float())'),
    ("rivals/meso_net", "labels flipped in the loss of MesoNet", "test_detectors [MesoNet]",
     '.sigmoid(), batch["label"].float())', '.sigmoid(), 1 - batch["label"].float())'),
    ("rivals/multi_att", "labels flipped in the loss of Multi-Att", "test_detectors [Multi-Att]",
     'model(batch["rgb"], batch["label"])', 'model(batch["rgb"], 1 - batch["label"])'),
    ("rivals/spectrum_1d", "labels flipped in the 1D spectrum", "test_detectors [1D-Spectrum]",
     'learn_table["label"].to_numpy()[rows])', '1 - learn_table["label"].to_numpy()[rows])'),
    ("rivals/add_net", "masks are not mirrored with their images", "rivals/test_add_net_masks mirrored_with_it",
     'mask.flip(-1) if item["mirrored"] else mask', "mask"),
    ("rivals/spectrum_2d", "DCT-2d learns from mirrored images", "bts/test_train statistics_of_dct_2d",
     'image_loss, flip=False)(_options("DCT-2d"))', 'image_loss)(_options("DCT-2d"))'),
    ("ops/spectra", "DCT-2d sees 0 to 1, not 0 to 255", "", "dct2(255 * rgb)", "dct2(rgb)"),
    ("ops/spectra", "1D spectrum: the decimal logarithm", "", "20 * np.log(np.abs(", "20 * np.log10(np.abs("),
    ("rivals/prnu", "PRNU: photographs' noise means fake", "told_by_the_fingerprint", "/ 4\n", "/ -4\n"),
    ("rivals/prnu", "PRNU: bright pixels count no more than dark ones", "likeliest", "/ (weight + 1) @ GREY", "@ GREY"),
    ("rivals/prnu", "PRNU: sigma is taken for its square", "second_implementation", "sigma**2) for", "sigma) for"),
    # Training and seeds
    ("detectors", "fake is the first of two logits", "bts/test_detector", "FAKE = 1  #", "FAKE = 0  #"),
    ("detectors", "each seed starts from one network", "pel/test_train another_seed",
     "seed_everything(seed)", "seed_everything(0)"),
    ("training/fit", "the worst epoch is kept", "best_epoch", '>= state["best', '<= state["best'),
    ("training/fit", "each epoch has the same order", "another_order", "([self.seed, self.epoch])", "([self.seed])"),
    # Numbers, intervals, verdicts, calibration
    ("evaluation/metrics", "a threshold of 0.4", "those_of_scikit", "auc = ((scores > 0.5)", "auc = ((scores > 0.4)"),
    ("evaluation/metrics", "the EER is the share of right calls", "by_hand", "return x0 + (x1", "return 1 - x0 - (x1"),
    ("evaluation/metrics", "a video scores as its worst frame", "mean_of_its", '"score": "mean"', '"score": "max"'),
    ("evaluation/metrics", "clips of two methods are one video", "two_videos", '["method", "video"]', '["video"]'),
    ("evaluation/metrics", "frames are drawn, not people", "look_surer", "(items.identity", "(items.index"),
    ("evaluation/metrics", "the share of fakes is luck", "no_luck", "n_bootstrap, seed, labels)", "n_bootstrap, seed)"),
    ("evaluation/resampling", "intervals of 90 %", "one_person", "stats.t.ppf(0.025,", "stats.t.ppf(0.05,"),
    ("evaluation/resampling", "unequal people count alike", "large", "part.sum() ** 2 / (part**2).sum()", "len(part)"),
    ("evaluation/verdicts", "Holm: nothing is corrected", "", "p[index] * (len(order) - rank)", "p[index]"),
    ("evaluation/verdicts", "the opposite is said to hold", "", "effect > 0 else", "effect < 0 else"),
    ("evaluation/verdicts", "the luck of the people is left out", "", "seeds, people_error**2])", "seeds, 0.0])"),
    ("evaluation/verdicts", "p is one-sided", "", "2 * joined.sf(", "joined.sf("),
    ("evaluation/calibration", "the temperature is turned round", "", "odds / np.exp(log)", "odds * np.exp(log)"),
    ("evaluation/predict", "dropout stays on", "", "(device()).eval()", "(device()).train()"),
    # Whose face, and what is said of it
    ("data/tracks", "the face that is seen shortest is cut", "", "(-len(track), -area", "(len(track), -area"),
    ("data/tracks", "the face that the mask covers least is cut", "", "overlap.argmax()", "overlap.argmin()"),
    ("data/cut", "masks choose no face", "data/test_several_faces although", "masked or found[0], c", "found[0], c"),
    ("data/cut", "a crop is as wide as the shorter side of a face", "", "margin * max(x2", "margin * min(x2"),
    ("detect", "a detector sees 0 to 255", "values_that_it_learned", "0, 3, 1, 2) / 255", "0, 3, 1, 2) / 1"),
    ("detect", "low scores are called fake", "mean_of_its_frames", "self.score > THRESHOLD", "self.score < THRESHOLD"),
]
# fmt: on


def copy(folder):
    """Copy the tracked files of the checkout into a folder, where they can be spoilt, and return it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("bundled/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if (ROOT / "data").is_dir():
        (folder / "data").symlink_to((ROOT / "data").resolve())
    return folder


def tests_of(file, where):
    """Return the tests that should notice an error in a file of lib, as pytest names them."""
    name, word, case = re.fullmatch(r"((?:\w+/)*test_\w+)? ?(\w*)(\[.*\])?", where).groups(default="")
    path = "tests/" + (name or re.sub(r"(\w+)$", r"test_\1", file)) + ".py"
    found = re.findall(r"^def (test_\w+)", (ROOT / path).read_text(), re.MULTILINE)
    return [f"{path}::{test}{case}" for test in found if word in test]


def run(folder, tests):
    """Run tests in a copy of the checkout, on one thread, until one fails, and return what has become of pytest."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "--exitfirst", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def attempt(folder, file, where, right, wrong):
    """Make one error in a copy of the checkout, and return what its tests say."""
    path, tests = folder / "lib" / f"{file}.py", tests_of(file, where)
    text = path.read_text()
    if text.count(right) != 1 or not tests:
        return f"text found {text.count(right)} times, {len(tests)} tests"
    path.write_text(text.replace(right, wrong))
    try:
        status = run(folder, tests).returncode
    finally:
        path.write_text(text)
    return {0: "STAYS GREEN", 1: "red"}.get(status, f"pytest ended with {status}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="of a file or an error; all rows by default")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="rows that are tried at a time")
    given = parser.parse_args(arguments)
    chosen = [m for m in MUTATIONS if not given.words or any(word in " ".join(m[:2]) for word in given.words)]
    if not chosen:
        parser.error("no row holds one of these words")
    with tempfile.TemporaryDirectory() as top, ThreadPoolExecutor(given.jobs) as pool:
        folders = queue.SimpleQueue()
        for number in range(given.jobs):
            folders.put(copy(Path(top, str(number))))

        def in_a_copy(work):
            folder = folders.get()
            try:
                return work(folder)
            finally:
                folders.put(folder)

        wanted = sorted({test for file, _, where, *_ in chosen for test in tests_of(file, where)})
        whole = in_a_copy(lambda folder: run(folder, wanted))
        if whole.returncode:
            raise SystemExit(f"{whole.stdout}\ntests fail without any error: mend them first")
        works, outcomes = [lambda folder, m=m: attempt(folder, m[0], *m[2:]) for m in chosen], []
        for (file, error, *_), outcome in zip(chosen, pool.map(in_a_copy, works), strict=True):
            outcomes.append(outcome)
            print(f"{outcome:<12} {file}: {error}", flush=True)
    red, green = (outcomes.count(what) for what in ("red", "STAYS GREEN"))
    print(f"{red} of {len(chosen)} are noticed, {green} stay green, {len(chosen) - red - green} could not be tried")
    return int(green > ALLOWED or red + green < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
