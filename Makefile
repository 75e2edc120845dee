# The commands of this project; `make` lists them. Tools are installed below .tools/ and .venv/ only.
.DEFAULT_GOAL := help

include tools.mk

SYNDI := .venv/bin/syndi

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

# == Try it =======================================================================================

.PHONY: demo
demo: setup ## everything on this machine: AWS, control plane, the tenant stage/demo
	$(SYNDI) --local up
	$(SYNDI) --local deploy stage demo --admin-username admin@example.com < /dev/null

# == Tenants: the interface of the Makefile that this project replaces ==============================
#
#   make rs-deploy ENV=stage ORG=myorg [ENABLE_AUTH=true|false] [CREATE_BUCKETS=true|false]
#                  [ADMIN_USERNAME=admin@example.com]   and LOCAL=1 for the laptop's AWS
#
# ADMIN_PASSWORD is read from the environment, or asked for.

flag = $(if $($(1)),$(if $(filter true,$($(1))),--$(2),$(if $(filter false,$($(1))),--no-$(2),$(error $(1)=$($(1)): must be true or false))))
# By the environment, not spliced into the shell's text, and as they stand, not expanded by make: a
# value is never a command.
override ENV := $(value ENV)
override ORG := $(value ORG)
override ADMIN_USERNAME := $(value ADMIN_USERNAME)
export ENV ORG ADMIN_USERNAME
TENANT = "$$ENV" "$$ORG"
WHERE = $(if $(filter 1 true yes,$(LOCAL)),--local)

.PHONY: tenant-given
tenant-given:
	@test -n "$$ENV" || { echo "error: ENV is missing: ENV=dev, test, stage or prod" >&2; exit 2; }
	@test -n "$$ORG" || { echo "error: ORG is missing: ORG=<organization>, such as ORG=myorg; it has no default, so that nothing is deployed for the wrong one" >&2; exit 2; }

DEPLOY = $(SYNDI) $(WHERE) deploy $(TENANT) $(call flag,ENABLE_AUTH,enable-auth) \
  $(call flag,CREATE_BUCKETS,create-buckets) $(if $(ADMIN_USERNAME),--admin-username "$$ADMIN_USERNAME")

.PHONY: rs-deploy
rs-deploy: tenant-given setup ## build, configure, deploy and test one tenant: ENV= ORG=
	@$(DEPLOY)

.PHONY: rs-deploy-only
rs-deploy-only: tenant-given setup ## deploy the tenant's last build, with the configuration of now: ENV= ORG=
	@$(DEPLOY) --mode deploy-only

# What has no meaning for a patch is passed on all the same: it is refused by name, not dropped.
.PHONY: rs-deploy-function
rs-deploy-function: tenant-given setup ## only the function's code, past CloudFormation: ENV= ORG=
	@$(DEPLOY) --mode function

.PHONY: sync-configs
sync-configs: tenant-given setup ## apply overrides and outputs to the configuration, and read it back: ENV= ORG=
	@# With the build that the tenant has; refused when it has none.
	@$(SYNDI) $(WHERE) deploy $(TENANT) --mode deploy-only
	@$(SYNDI) $(WHERE) config show $(TENANT)

.PHONY: test-jwt-aws
test-jwt-aws: tenant-given setup ## sign in to a live tenant with a real JWT: ENV= ORG=
	@$(SYNDI) $(WHERE) check $(TENANT) --jwt

.PHONY: check-rs
check-rs: tenant-given setup ## ask a live tenant for its health and build: ENV= ORG=
	@$(SYNDI) $(WHERE) check $(TENANT)

# == Development ==================================================================================

# Each process has a laptop's AWS of its own, on which the files that it gets share their state; these
# mostly wait, so there are two more than the cores of a small machine. The end-to-end tests come first.
TEST_PROCESSES ?= 4

.PHONY: test
test: setup test-tools ## every test, also end to end; TEST_PROCESSES=4
	.venv/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: test-faults
test-faults: setup ## fault x step: every fault in every AWS call of every step; prints the matrix
	FAULTS=all .venv/bin/python -m pytest -q -n $(TEST_PROCESSES) tests/faults

.PHONY: test-mutations
test-mutations: setup test-tools ## one wrong thing in a tenant or a worker each: none may end green; prints who refused it
	.venv/bin/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile tests/mutations tests/e2e/test_e2e_mutations.py

.PHONY: test-api
test-api: setup test-tools ## 2,000 signed requests, made from the API's description: none is answered otherwise
	API_CASES=2000 .venv/bin/python -m pytest -q --timeout 1800 tests/e2e/test_e2e_api_contract.py

.PHONY: lint
lint: setup ## formatting, imports, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	MYPYPATH=backend .venv/bin/mypy -p rawscribe

.PHONY: setup
setup: tools .venv/.stamp ## install the tools and this project, below .tools/ and .venv/

.venv/.stamp: requirements/dev.txt pyproject.toml $(TOOLS)/uv/.stamp | python-ok
	@test -x .venv/bin/python || $(TOOLS)/uv/bin/uv --no-config venv --quiet --python "$(PYTHON)" .venv
	@echo "installing .venv"
	@$(TOOLS)/uv/bin/uv --no-config pip sync --quiet --require-hashes --python .venv/bin/python requirements/dev.txt
	@$(TOOLS)/uv/bin/uv --no-config pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python -e .
	@touch $@

LOCK = $(TOOLS)/uv/bin/uv --no-config pip compile --quiet --universal --generate-hashes \
  --python-version 3.11 --no-emit-index-url --no-annotate --no-header

.PHONY: lock
lock: $(TOOLS)/uv/.stamp ## lock the newest versions that pyproject.toml and requirements/*.in allow
	$(LOCK) --upgrade pyproject.toml -o requirements/workers.txt
	$(LOCK) --upgrade --extra cli --extra dev pyproject.toml -o requirements/dev.txt
	for tool in uv sam ministack microburst; do $(LOCK) --upgrade requirements/$$tool.in -o requirements/$$tool.txt; done

.PHONY: resource-types
resource-types: setup ## list the resource types that AWS publishes anew, by the schemas of the locked cfn-lint
	.venv/bin/python -m local.resource_types
	.venv/bin/ruff format -q control_plane/rules/resource_types.py

.PHONY: clean
clean: ## stop the laptop's AWS, and remove all that was installed and built
	@test ! -x $(SYNDI) || $(SYNDI) --local reset
	rm -rf .tools .venv .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis

# == What is in every worker function: bundle/Makefile takes it from there ==========================

BUNDLED := control_plane workers trial buildspec.yml

.PHONY: bundle
bundle:
	rm -rf $(addprefix bundle/,$(BUNDLED))
	cp -R $(BUNDLED) bundle/
	find bundle -name __pycache__ -prune -exec rm -rf {} +
