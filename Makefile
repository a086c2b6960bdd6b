# make repro: everything, from a fresh clone to the tables of both papers
# make test: every test
# make lab: the notebooks in JupyterLab
PYTHON ?= $(firstword $(foreach python,python3.11 python3.12 python3,$(shell $(python) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && command -v $(python))))
READY := .venv/.ready
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export JUPYTER_CONFIG_PATH := $(CURDIR)/.jupyter# no question about news over the first page
SMOKE := DEEPFAKE_SCALE=smoke DEEPFAKE_OUTPUTS=$(CURDIR)/.smoke OMP_WAIT_POLICY=passive
smoke = set -e; for module in $(1); do $(SMOKE) python -m lib.$$module; done

LANES ?= $(if $(shell command -v nvidia-smi),1,2)# 2: the stages of both papers run side by side
BTS_LANE := re_synthesizers re_synthesis more_fakes wiped_fakes bts_detectors residual_detectors beyond_the_spectrum_results \
	cross_training
PEL_LANE := pel_detectors progressive_enhancement pel_results ablation_rows pel_ablations

.PHONY: repro bts-lane pel-lane bts-smoke pel-smoke test mutations lab alone playground data seeds check real repro-all gpu rehearsal notebooks text lock clean

repro: data
	dvc repro real_and_forged_faces
	$(MAKE) --no-print-directory --jobs $(LANES) bts-lane pel-lane
	dvc repro
	python -m lib.evaluation.report

bts-lane pel-lane bts-smoke pel-smoke: export OMP_WAIT_POLICY = passive# threads that wait leave the core to the other lane
bts-lane:
	dvc --wait-for-lock repro --single-item $(BTS_LANE)
pel-lane:
	dvc --wait-for-lock repro --single-item $(PEL_LANE)
bts-smoke:
	$(call smoke,bts.re_synthesis bts.wiped bts.score cross_training)
pel-smoke:
	$(call smoke,pel.score pel.ablations)

test: data
	ruff check lib tests && ruff format --check lib tests
	pytest --numprocesses auto --maxprocesses 4 --dist worksteal tests
	rm -rf .smoke
	$(SMOKE) python -m lib.data.faces
	$(MAKE) --no-print-directory --jobs $(LANES) bts-smoke pel-smoke # what the notebooks read
	$(SMOKE) pytest --numprocesses auto --maxprocesses 4 --dist loadfile --nbval-lax --nbval-cell-timeout=900 \
		$(filter-out notebooks/00%,$(sort $(wildcard notebooks/*.ipynb))) notebooks/00_start_here.ipynb

lab: data
	jupyter lab notebooks

playground: data ## your own picture, in a browser: on this machine alone
	voila notebooks/13_playground.ipynb --no-browser --Voila.ip=127.0.0.1 --show_tracebacks=False

alone: data ## after a run: does each notebook, run alone, give the committed numbers?
	python tests/alone.py --jobs 2

data: $(READY)
	@test -d data/CelebA-HQ && test -d data/FaceForensics++ || dvc pull --quiet data.dvc
	@python -m lib.params

text: $(READY) ## bring notebooks/ and notebooks/source/ to the newer of each notebook and its text
	jupytext --quiet --sync $(wildcard notebooks/*.ipynb)

mutations: data ## does a test turn red for each of 94 scientific errors? a quarter of an hour
	python tests/mutations.py --jobs 2

seeds: data ## everything over five training seeds, in hours: results/seeds
	python -m lib.seeds 0 1 2 3 4

check: data ## is the last run where the kept seeds lead to expect it?
	python -m lib.seeds --check

real: data ## results on samples of real data sets: REAL=FOLDER names where they lie; hours, results/real
	python -m lib.real $(REAL)

repro-all: repro seeds ## and the end-to-end training of BTS over three seeds, then the notebooks that read them
	python -m lib.bts.joint_training --seeds 0 1 2
	dvc repro --single-item --force residual_detectors beyond_the_spectrum_results progressive_enhancement pel_results pel_ablations start_here

gpu: data ## what a GPU makes of it all, into results/gpu/; DEVICE=cpu QUICK=1 tries the command without one
	python -m lib.benchmarks.gpu $(if $(DEVICE),--device $(DEVICE)) $(if $(QUICK),--quick) \
		$(if $(VIDEOS),--videos $(VIDEOS)) $(if $(IMAGES),--images $(IMAGES))

rehearsal: data ## every stage at the paper's scale on stand-ins, and what the full data would take; QUICK=1: five minutes
	python -m lib.rehearsal $(if $(QUICK),--quick)
	$(if $(QUICK),,python -m lib.rehearsal.costs)

notebooks: repro ## write the outputs of the last run back into notebooks/, and its tables into README.md
	python -m lib.notebooks
	python -m lib.evaluation.readme
	dvc commit --force

lock: ## requirements.txt -> requirements.lock and environment.yml
	rm -rf .lock && $(PYTHON) -m venv .lock && .lock/bin/pip install --quiet -r requirements.txt
	.lock/bin/pip freeze --exclude-editable > requirements.lock && rm -rf .lock

clean: ## remove all that a run makes, and keep the data
	rm -rf faces wiped checkpoints .unfinished .landmarks .smoke .rehearsal .dvc/cache

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or 3.12 on the PATH (or: make PYTHON=/path/to/python3.11)"; exit 1; }
	@echo "Installing the packages into .venv (about 5 GB, once) ..."
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
