# make deb: $(BUILD)/deb/bise_VERSION_{amd64,arm64}.deb, for these compilers.
deb:
	@MAKE='$(MAKE)' bash mk/deb.sh '$(VERSION)' '$(BUILD)/deb' $(DIST_CC)
.PHONY: deb
