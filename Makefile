# The commands people type. `make help` lists them; those of `decant` take a command line's variables as its options.
# Any python3 that runs: pyenv's refuses to where a version is selected that it lacks.
PYTHON3 := $(shell for p in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do $$p -c "" 2>&- && echo $$p && break; done)
INSTALL := @$(PYTHON3) infra/decant_cloud/install.py
DECANT := @.venv/bin/decant
PY := .venv/bin/python
# Images of containers set it: each of the many processes would compile every module that it imports.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z0-9-]+:' Makefile | tr -d :)

help: ## List every target
	@awk -F ':.*## ' '/^### / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile
### Environments
install: ## Install everything into .venv and .decant; with ENGINE=localemu, the second engine of the local cloud too
	$(INSTALL)
lock: ## Compile the requirements files anew, with hashes
	$(INSTALL) --lock
sam:
	$(INSTALL) --with sam

### The local cloud
up: ## Start the local cloud and deploy the bundle to it; Ctrl-C stops it: PORT=4600 DETACH=1 DEBUG=task_worker
down: ## Stop the local cloud
serve: ## Serve the same functions as one ASGI app under Hypercorn: PORT=8080
status: ## Show what runs locally, where and since when
logs: ## Follow the functions' logs: FUNCTION=users_create SINCE=10m JSON=1 FOLLOW=0
invoke: ## Invoke a function and print its response: FUNCTION=users_create EVENT=a-file-or-json
send: ## Send a message to a queue: MESSAGE='{"id": "…"}' QUEUE=default
psql: ## Open psql on the local database: SQL='SELECT 1'
reset: ## Delete the local database
token: ## Create a token for the routes of the local cloud: ARGS="--subject ada --scope tasks:admin"
restore-rehearsal: ## Dump the local database, restore it into a new one, and compare the two
### Deployment and documents
check-deploy: ## Check a STAGE before a deployment: connections, timeouts, sizes, alarms, roles
smoke: ## Test a deployed STAGE from outside
openapi: ## Write functions/api_docs/openapi.json, the OpenAPI document of all routes
docs: ## Write the README's table of settings and the list of licences
build: ## Build layer and functions for a STAGE of samconfig.toml, local when not given
deploy: ## Build, check and deploy a STAGE; local is the cloud that `make up` has started
release: ## Deploy what was built as the pipeline does: RELEASE, ARTEFACT_BUCKET, CLOUDFORMATION_ROLE_ARN, BOUNDARY_ARN
up down serve status logs invoke send psql reset token restore-rehearsal check-deploy smoke openapi docs build deploy release: install
	$(DECANT) $@ $(ARGS)
pictures: install ## Draw the pictures of docs/pictures: the architecture, the benchmarks of .decant/measured, with RECORD=1 `make up`, with CONSOLE=1 the console
	$(PY) -m tests.pictures $(if $(RECORD),--record) $(if $(CONSOLE),--console)
site: install ## Build the documentation site into .decant/pages; SERVE=1 serves it on port 8001 while pages change
	$(INSTALL) --with site
	NO_MKDOCS_2_WARNING=1 .decant/site/bin/mkdocs $(if $(SERVE),serve --dev-addr 127.0.0.1:8001,build --strict)
client: install ## Generate a typed Python client of the API into client/
	$(INSTALL) --with client
	$(DECANT) client $(ARGS)
### Bundles
new: install ## Add a part with its test: ARGS='function "GET /rooms" --database', 'task send_report', 'queue slow' …
	$(DECANT) new $(ARGS)
bundle: wheel ## Make a new bundle, which contains both wheels: NAME=../myshop
	$(DECANT) new bundle "$(NAME)" --wheels dist $(if $(DEMO),--demo)

### Tests
test: install ## Run the checks and all tests but the long ones; the output of each part appears when the part ends
	$(INSTALL) --with policy
	@$(MAKE) --no-print-directory --keep-going -j3 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) \
		e2e integration check check-policy unit
test-all: export TEST_EXAMPLES := 100
test-all: test ## Run the long tests too, SAM's commands, and the end-to-end tests on LocalEmu
	@$(MAKE) --no-print-directory --keep-going test-long test-without-demo test-sam e2e-localemu
check: install ## Run the linters, the type checker and the checks of the bundle; the last lines name those that failed
	@$(RUN_ALL); \
	run .venv/bin/ruff format --check .; \
	run .venv/bin/ruff check .; \
	run .venv/bin/mypy; \
	run .venv/bin/lint-imports --no-logo; \
	run .venv/bin/cfn-lint template.yaml infra/*.yaml; \
	run .venv/bin/decant check; \
	$(NAME_FAILED)
check-policy: install ## Scan what would be deployed, the role that deploys it and the workflows, for unsafe settings
	$(INSTALL) --with policy
	@$(RUN_ALL); \
	run .venv/bin/decant check-policy; \
	run .decant/policy/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml; \
	run .decant/policy/bin/zizmor --offline --quiet --min-severity medium .github/workflows; \
	$(NAME_FAILED)
RUN_ALL := failed=; run() { echo "$$*"; "$$@" || failed="$$failed  $$*\n"; }
NAME_FAILED := [ -z "$$failed" ] || { printf "Failed:\n$$failed"; exit 1; }
format: install ## Format the code and mend what ruff can
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format --quiet .
PYTEST := $(PY) -m pytest
IN_PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
unit integration: install
	$(PYTEST) $(IN_PARALLEL) -m "not long" tests/$@ $(if $(filter integration,$@),tests/functions tests/bundle tests/oracle,tests/repository)
unit: ## Unit tests
integration: ## Integration tests: real PostgreSQL, real runtime client
E2E := tests/e2e
e2e: install ## End-to-end tests on the local cloud
	$(INSTALL) --with client
	$(PYTEST) -m "not long" $(E2E)
test-long: install ## The tests that `make test` leaves out because they take long
	$(PYTEST) $(IN_PARALLEL) -m long tests/unit tests/integration tests/functions tests/repository
	$(PYTEST) -m long tests/e2e
test-docs: install ## The documentation: the site in Chromium, and every step of the tutorial
	$(PYTEST) -m long tests/e2e/test_site.py tests/e2e/test_tutorial.py
test-pour: install ## Existing applications: a session as functions, with each split, and under Flask's own server
	$(PYTEST) $(IN_PARALLEL) -m long tests/integration/test_pour.py tests/integration/test_flaskr.py
	$(PYTEST) -m long tests/e2e/test_poured.py
test-without-demo: install ## Unit and integration tests in a copy of the repository that contains no demo
	$(PY) -m tests.without_demo $(IN_PARALLEL) -m "not long" tests/unit tests/integration
e2e-localemu: ## End-to-end tests of what the engine does, on the second engine of the local cloud
	@$(MAKE) --no-print-directory e2e ENGINE=localemu E2E="$(OF_ENGINE:%=tests/e2e/test_%.py)"
OF_ENGINE := background binary_bodies local_access local_cloud local_lambda local_updates release routes stacks streaming uploads workflows
test-sam: sam ## SAM's commands, and the same answers everywhere; in containers too where there is a Docker engine
	$(PY) -m pytest tests/sam

### Packages and operation
wheel: install ## Build the library and the commands as wheels, dist/decant_flask-….whl and dist/decant_cloud-….whl
	$(PY) -m hatchling build --target wheel
	cd infra && ../$(PY) -m hatchling build --target wheel --directory ../dist
rds-roots: ## Fetch the certificate authorities of RDS, from AWS, into the layer
	curl --fail --silent --show-error --output shared/rds-roots.pem \
		https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
redrive: install ## Run failed tasks again, of DATABASE_URL: ARGS="--name domain.tasks.mail --error SMTPError"
	$(PY) -m decant.cli redrive $(ARGS)

### Benchmarks
bench: bench-local ## Measure what a user first meets: the same as bench-local
bench-local: install ## Measure the local cloud: start, requests, messages, cold starts, memory: JSON=1 CLONE=1
	@$(PY) -m tests.benchmarks.local $(if $(JSON),--json) $(if $(CLONE),--with-clone)
bench-web: ## Measure the bridge against its peers, or against BASE=a-working-tree of an older version: FULL=1 ARGS="--only event"
	$(INSTALL) --with bench
	PYTHONPATH=shared:infra .decant/bench/bin/python -m tests.benchmarks.web $(if $(FULL),--rounds 5 --events 60 --seconds 2) $(if $(BASE),--base "$(BASE)") $(ARGS)
bench-stream: install ## Measure streamed responses beside buffered ones and beside a web server in a second process: ARGS="--rounds 5"
	@$(PY) -m tests.benchmarks.stream $(ARGS)
bench-tasks: install ## Measure durable tasks against Celery with Redis, or beside BASE=a-working-tree; PROFILE=1
	$(if $(BASE),,$(INSTALL) --with celery)
	PYTHONPATH=.:shared:infra $(if $(BASE),$(PY) -m tests.benchmarks.tasks --base "$(BASE)" $(ARGS),.decant/celery/bin/python -m tests.benchmarks.tasks $(if $(PROFILE),--profile))
	$(if $(BASE)$(PROFILE),,$(PY) -m tests.benchmarks.tasks.through_cloud)
bench-queues: install ## Measure tasks without SQS against other queues on PostgreSQL, with STRESS=1 under faults and pressure: FULL=1 ARGS="--only latency"
	$(INSTALL) --with queues
	PYTHONPATH=shared:infra .decant/queues/bin/python -m tests.benchmarks.queues$(if $(STRESS),.stress) $(if $(STRESS),,$(if $(FULL),--rounds 3)) $(ARGS)
bench-celery: install ## Measure synchronous tasks and callers of decant.celery against Celery with Redis
	$(INSTALL) --with celery
	PYTHONPATH=.:shared:infra .decant/celery/bin/python -m tests.benchmarks.celery
bench-workflows: ## Measure durable workflows against DBOS and Absurd: ARGS="--rounds 3 --workflows 200"
	$(INSTALL) --with workflows
	PYTHONPATH=.:shared:infra .decant/workflows/bin/python -m tests.benchmarks.workflows $(ARGS)
bench-api: install ## Measure idempotent requests beside plain ones, and the OpenAPI document of 1,000 functions
	@$(PY) -m tests.benchmarks.api $(ARGS)
bench-console: install ## Measure the routes of the console on 1,100,000 tasks, and tasks beside 20 open pages: ARGS="--count 100000"
	@$(PY) -m tests.benchmarks.console $(ARGS)
bench-tracing: install ## Measure tracing: while it is off, while it is on, and at its start
	@PYTHONPATH=.:shared:infra $(PY) -m tests.benchmarks.tracing
bench-cold: sam ## Measure cold starts, compiled beside no bytecode and METRICS=1, or beside BASE=a-working-tree: FULL=1 ARGS="--rounds 5"
	$(PY) -m tests.benchmarks.cold $(if $(FULL),--functions all --rounds 9 --quota-rounds 3) $(if $(BASE),--base "$(BASE)") $(ARGS)
### Comparisons and load
oracle: install ## Record what real Celery with Redis does, which decant.celery is compared with; CHECK=1 only compares
	$(INSTALL) --with celery
	PYTHONPATH=.:shared:infra .decant/celery/bin/python -m tests.oracle.record $(if $(CHECK),--check)
verify-apps: wheel ## Run public Celery projects and Flask applications with Decant, and print figures: APPS=a-folder-of-projects
	PYTHONPATH=.:shared:infra $(PY) -m tests.verify_apps "$(APPS)"
storm: install ## Run 10,000 tasks while workers, PostgreSQL, SQS and messages fail: COUNT=1000
	$(PY) -m tests.benchmarks.storm $(COUNT)
storm-local: install ## Invoke 1,000 times, 16 at a time, among 50 kills and 20 updates of the code; nothing may be wrong or left
	$(PY) -m tests.benchmarks.storm_local
fuzz: install ## Send 5,000 hostile requests to the local cloud and to make serve: ARGS="--requests 300 --seed 7"
soak: install ## Load the local cloud with 64 clients while PostgreSQL is killed and frozen: ARGS="--seconds 20 --idle-s 30"
fuzz soak:
	$(PY) -m tests.benchmarks.$@ $(ARGS)
