# What a contributor runs. Tools come from the virtual environment of the README's test command.
BIN ?= .venv/bin

# Tests that open no model and start no worker: they say within a minute whether a change holds.
QUICK_TESTS = tests/engines/answers tests/engines/data tests/engines/importing tests/engines/runs \
	tests/engines/study tests/engines/test_catalog.py tests/engines/test_settings.py \
	tests/labtui/results tests/labtui/console/widgets tests/labtui/console/test_curves.py \
	tests/labtui/test_format.py tests/labtui/test_sanitize.py tests/labtui/test_narrate.py \
	tests/benchmarks/test_structure.py tests/test_docs.py
NOT_QUICK = $(addprefix --ignore=tests/, engines/answers/test_classifier.py engines/runs/test_processes.py \
	engines/runs/test_queue.py engines/study/test_serving_questions.py labtui/console/widgets/test_clicks.py)

.PHONY: check quick pictures bench

check: ## everything, as the README's test command does
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

quick: ## format, lint, types, imports and the tests that need no model
	$(BIN)/ruff format .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q $(QUICK_TESTS) $(NOT_QUICK)

pictures: ## the README's pictures, from the home folder of a finished quickstart
	$(BIN)/python -m docs.make_pictures

bench: ## the benchmarks that need neither downloads nor a GPU; figures go to docs/benchmarks/
	$(BIN)/python -m benchmarks.structure
	$(BIN)/python -m benchmarks.study
	$(BIN)/python -m benchmarks.coverage macro mean groups paired clusters
	$(BIN)/python -m benchmarks.console
	$(BIN)/python -m benchmarks.prompting
	$(BIN)/python -m benchmarks.prompting --vocabulary 256000
	$(BIN)/python -m benchmarks.qlora
