include tools.mk

# What `sam build` puts into every worker function: all workers share one bundle, so that what they
# import is there, and nothing else is.
build-%Function:
	cp -R control_plane workers buildspec.yml "$(ARTIFACTS_DIR)/"
