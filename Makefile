# These commands do everything; the steps are in scripts/bootstrap.py, which Windows calls directly.
#   make demo                 make .venv, install, run the main job, open napari on the result
#   make demo DATA=folder     the same on your own images: class/patient/sample/image files
#   make demo HEADLESS=1      the same without a window; the results lie in demo-output/
#   make test                 the same set-up, then lint, types, manifest and the test suite
#   make docs                 the same set-up, then the pages as a site in site/, links checked
# PYTHON=/path/to/python3 chooses the Python (3.11 or newer) that .venv is made with.

# Any Python 3 can start the script, which then looks for one that is new enough.
BOOTSTRAP = "$(shell command -v python3 || command -v "$(PYTHON)" || echo python3)" scripts/bootstrap.py

.PHONY: demo docs test

demo:
	@$(BOOTSTRAP) demo $(if $(DATA),--data "$(DATA)")

test:
	@$(BOOTSTRAP) test

docs:
	@$(BOOTSTRAP) docs
