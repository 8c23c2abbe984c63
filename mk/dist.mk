# make dist: $(BUILD)/dist/bise-VERSION-linux-ARCH.tar.gz for these compilers, and SHA256SUMS.
DIST_CC ?= $(if $(filter x86_64,$(ARCH)),$(CC) aarch64-linux-gnu-gcc,$(CC))
dist:
	@MAKE='$(MAKE)' bash mk/dist.sh '$(VERSION)' '$(BUILD)/dist' $(DIST_CC)
.PHONY: dist
