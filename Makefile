# The commands people type. `make help` lists them.
# Any python3 that runs: pyenv's refuses to where .python-version names one that it lacks.
PYTHON3 := $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 /usr/bin/python3,$(shell $(p) -c "" 2>/dev/null && echo $(p))))
PY := .venv/bin/python
export PYTHONPATH := shared:infra
.DEFAULT_GOAL := help

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: install
install: ## Install everything into .venv and .decant
	@$(PYTHON3) infra/decant_cloud/install.py

.PHONY: lock
lock: ## Compile the requirements files anew, with hashes
	@$(PYTHON3) infra/decant_cloud/install.py --lock

.PHONY: up
up: install ## Start the local cloud and deploy the bundle to it; Ctrl-C stops it (DETACH=1, DEBUG=task_worker)
	@$(PY) -m decant_cloud.local up $(if $(DEBUG),--debug "$$DEBUG") $(if $(DETACH),--detach)

.PHONY: down
down: install ## Stop the local cloud
	@$(PY) -m decant_cloud.local down

.PHONY: serve
serve: install ## Serve the same functions as one ASGI app under Hypercorn
	@$(PY) -m decant_cloud.local serve

.PHONY: status
status: install ## Tell what runs locally, where and since when
	@$(PY) -m decant_cloud.local status

.PHONY: logs
logs: install ## Follow the functions' logs: FUNCTION=users_create SINCE=10m JSON=1 FOLLOW=0
	@$(PY) -m decant_cloud.local logs $(FUNCTION) $(if $(SINCE),--since "$$SINCE") $(if $(JSON),--json) \
		$(if $(filter 0,$(FOLLOW)),--no-follow)

.PHONY: invoke
invoke: install ## Invoke a function and print its answer: FUNCTION=users_create EVENT=a-file-or-json
	@$(PY) -m decant_cloud.local invoke $(FUNCTION) $(if $(EVENT),--event "$$EVENT")

.PHONY: send
send: install ## Send a message to a queue: MESSAGE='{"id": "…"}' QUEUE=default
	@$(PY) -m decant_cloud.local send "$$MESSAGE" $(if $(QUEUE),--queue "$$QUEUE")

.PHONY: psql
psql: install ## Open psql on the local database: SQL='SELECT 1'
	@$(PY) -m decant_cloud.local psql $(if $(SQL),--sql "$$SQL")

.PHONY: restore-rehearsal
restore-rehearsal: install ## Dump the local database, restore it into a new one, and compare the two
	@$(PY) -m decant_cloud.local.restore_rehearsal

.PHONY: reset
reset: install ## Forget the local database's data
	@$(PY) -m decant_cloud.local reset

.PHONY: new
new: install ## Add a function, FUNCTION=users_export ROUTE="GET /users/export" LIKE=task_status, or a task, TASK=export_users
	@$(PY) -m decant_cloud.local new $(if $(TASK),task "$$TASK",function "$$FUNCTION" --route "$$ROUTE" $(if $(LIKE),--like "$$LIKE"))

.PHONY: test
test: check check-policy unit integration e2e ## Everything that must pass: checks, unit, integration, end to end

.PHONY: check
check: install ## Lint, types, direction of imports, templates, what each function imports
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/cfn-lint template.yaml infra/*.yaml
	$(PY) -m decant_cloud.checks.layout
	$(PY) -m decant_cloud.checks.import_budget

.PHONY: check-policy
check-policy: install ## Scan what would be deployed, the role that deploys it and the workflows, for unsafe settings
	@$(PYTHON3) infra/decant_cloud/install.py --with policy
	$(PY) -m decant_cloud.checks.policy
	$(PY) -m decant_cloud.checks.stack_role
	.decant/policy/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.decant/policy/bin/zizmor --offline --quiet --min-severity medium .github/workflows

.PHONY: unit
unit: install ## Unit tests
	$(PY) -m pytest tests/unit

.PHONY: integration
integration: install ## Integration tests: real PostgreSQL, real runtime client
	$(PY) -m pytest tests/integration

.PHONY: e2e
e2e: install ## End-to-end tests on the local cloud
	$(PY) -m pytest tests/e2e

# `sam` with the environments' own Python on the path, for machines that have no 3.13 of their own.
SAM := env -u PYTHONPATH PATH="$(CURDIR)/.venv/bin:$(CURDIR)/.decant/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam
STAGE ?= local

.PHONY: sam
sam: install
	@$(PYTHON3) infra/decant_cloud/install.py --with sam

.PHONY: test-sam
test-sam: sam ## SAM's commands, and the same answers everywhere; in containers too where there is a Docker engine
	$(PY) -m pytest tests/sam

.PHONY: build
build: sam ## Build layer and functions for a STAGE of samconfig.toml, local when not given
	@$(SAM) build --config-env $(STAGE)

.PHONY: check-deploy
check-deploy: install ## Check before a deployment what can go wrong in one: connections, timeouts, sizes, alarms, roles
	@$(PY) -m decant_cloud.checks.deploy $(STAGE)

.PHONY: wheel
wheel: install ## Build the library and the commands as wheels, dist/decant_flask-….whl and dist/decant_cloud-….whl
	$(PY) -m hatchling build --target wheel
	cd infra && ../$(PY) -m hatchling build --target wheel --directory ../dist

.PHONY: rds-roots
rds-roots: ## Fetch the authorities that vouch for databases of RDS, from AWS, into the layer
	curl --fail --silent --show-error --output shared/decant/db/rds-roots.pem \
		https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem

.PHONY: deploy
ifeq ($(STAGE),local)
deploy: export AWS_ENDPOINT_URL ?= http://127.0.0.1:4566
deploy: export AWS_ACCESS_KEY_ID ?= test
deploy: export AWS_SECRET_ACCESS_KEY ?= test
endif
deploy: build check-deploy ## Deploy what was built for a STAGE; local is the cloud that `make up` has started
	@$(SAM) deploy --config-env $(STAGE)

.PHONY: release
release: sam ## Deploy what was built as the pipeline does: RELEASE, ARTEFACT_BUCKET, CLOUDFORMATION_ROLE_ARN, BOUNDARY_ARN
	@$(SAM) deploy --config-env $(STAGE) --no-confirm-changeset --no-fail-on-empty-changeset \
		--no-resolve-s3 --s3-bucket "$(ARTEFACT_BUCKET)" --role-arn "$(CLOUDFORMATION_ROLE_ARN)" --parameter-overrides \
		$$($(PY) -m decant_cloud.release.parameters $(STAGE) Release="$(RELEASE)" PermissionsBoundary="$(BOUNDARY_ARN)")

.PHONY: smoke
smoke: install ## Look whether a deployed STAGE answers
	@$(PY) -m decant_cloud.release.smoke --stack decant-$(STAGE)

.PHONY: bench
bench: bench-local ## The bundle as its users first meet it: the same as bench-local

.PHONY: bench-local
bench-local: install ## Measure the local cloud: start, requests, messages, cold starts, memory: JSON=1 CLONE=1
	@$(PY) -m tests.benchmarks.local $(if $(JSON),--json) $(if $(CLONE),--with-clone)

.PHONY: bench-web
bench-web: ## Measure the bridge against its peers, or against BASE=a-working-tree of an older version: ARGS="--only event"
	@$(PYTHON3) infra/decant_cloud/install.py --with bench
	.decant/bench/bin/python -m tests.benchmarks.web $(if $(BASE),--base "$(BASE)") $(ARGS)

.PHONY: bench-tasks
bench-tasks: ## Measure durable tasks against Celery with Redis (needs redis-server), or beside BASE=a-working-tree; PROFILE=1
ifdef BASE
bench-tasks: install
	PYTHONPATH=.:shared:infra $(PY) -m tests.benchmarks.tasks --base "$(BASE)" $(ARGS)
else
bench-tasks:
	@$(PYTHON3) infra/decant_cloud/install.py --with celery
	PYTHONPATH=.:shared:infra .decant/celery/bin/python -m tests.benchmarks.tasks $(if $(PROFILE),--profile)
	$(if $(PROFILE),,$(PY) -m tests.benchmarks.tasks.through_cloud)
endif

.PHONY: storm
storm: install ## Run 10,000 tasks while workers, PostgreSQL, SQS and messages fail: make storm COUNT=1000
	$(PY) -m tests.benchmarks.storm $(COUNT)

.PHONY: token
token: install ## Mint a token for the admin routes of the local cloud: make token ARGS="--scope tasks:admin"
	@$(PY) -m decant_cloud.local.tokens $(ARGS)

.PHONY: storm-local
storm-local: install ## Invoke 1,000 times, 16 at a time, among 50 kills and 20 updates of the code; nothing may be wrong or left
	$(PY) -m tests.benchmarks.storm_local

.PHONY: fuzz
fuzz: install ## Send 5,000 hostile requests to the local cloud and to make serve: ARGS="--requests 300 --seed 7"
	$(PY) -m tests.benchmarks.fuzz $(ARGS)

.PHONY: soak
soak: install ## Load the local cloud with 64 clients while PostgreSQL is killed and frozen: ARGS="--seconds 20 --idle-s 30"
	$(PY) -m tests.benchmarks.soak $(ARGS)

.PHONY: redrive
redrive: install ## Run failed tasks again, of DATABASE_URL: make redrive ARGS="--name domain.tasks.mail --error SMTPError"
	$(PY) -m decant.cli redrive $(ARGS)

.PHONY: bench-cold
bench-cold: sam ## Measure cold starts, compiled beside no bytecode and beside METRICS=1, or beside BASE=a-working-tree: ARGS="--rounds 5"
	$(PY) -m tests.benchmarks.cold $(if $(BASE),--base "$(BASE)") $(ARGS)

.PHONY: docs
docs: install ## Write the README's table of settings and the list of licences
	$(PY) -m decant_cloud.checks.settings_table
	$(PY) -m decant_cloud.checks.licences

.PHONY: format
format: install ## Format the code and mend what ruff can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
