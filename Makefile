# One word a job; each sets up what it needs.
PYTHON ?= python3
BIN = .venv/bin
SOURCES = vxml_engine macros conference billing telephony media speech service

.PHONY: run demo test check conformance fix lock clean

run: ; @$(PYTHON) scripts/bootstrap run && exec $(BIN)/voicemashup serve
demo: ; @$(PYTHON) scripts/bootstrap run && exec $(BIN)/voicemashup demo

test:
	@$(PYTHON) scripts/bootstrap dev
	@scripts/debian-peers
	$(BIN)/pytest -q $(ARGS)

check:
	@$(PYTHON) scripts/bootstrap dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check-links

fix:
	@$(PYTHON) scripts/bootstrap dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# make bench-media, make bench-calls, ...
bench-%:
	@$(PYTHON) scripts/bootstrap dev
	@scripts/debian-peers
	$(BIN)/python -m bench.$* $(ARGS)

conformance:
	@$(PYTHON) scripts/bootstrap dev
	$(BIN)/python scripts/conformance

# make fuzz-documents, fuzz-grammars, fuzz-templates, fuzz-sessions
fuzz-%:
	@$(PYTHON) scripts/bootstrap fuzz
	$(BIN)/python -m fuzz.run $* $(ARGS)

lock: ; @scripts/lock
clean: ; rm -rf .venv build bench/build *.egg-info
