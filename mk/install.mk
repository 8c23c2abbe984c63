# make install: program, libraries, header, pkg-config file, demo model and man page.

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
# Before 1.0 each minor version may change what the header declares: they do not mix.
SONAME  := libbise.so.$(basename $(VERSION))
SHARED  := libbise.so.$(VERSION)
INSTALL ?= install
ifeq ($(origin LD),default)
LD      := $(CROSS)ld
endif
OBJCOPY ?= $(CROSS)objcopy

# One object in which everything but bise_* has become local.
$(BUILD)/install/libbise.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(LD) -r -o $(@D)/bise.o $^
	$(Q)$(OBJCOPY) --localize-hidden --strip-debug $(@D)/bise.o
	$(Q)$(AR) rcs $@ $(@D)/bise.o

$(BUILD)/install/$(SHARED): $(LIB_OBJ)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LDLIBS)

$(BUILD)/install/bise.pc: mk/bise.pc.in $(BUILD)/flags FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' $< > $@

# The manual, and a page for each command out of it.
COMMANDS   := $(shell sed -n '/^\.SH COMMANDS/,/^\.SH OPTIONS/s/^\.B bise \([a-z]*\) .*/\1/p' \
              docs/bise.1)
MAN_PAGES  := $(COMMANDS:%=$(BUILD)/man/bise-%.1)
MAN_FILES  := docs/bise.1 $(MAN_PAGES)
$(BUILD)/man/bise-%.1: docs/bise.1 mk/man_page.awk
	@mkdir -p $(@D)
	@awk -v command=$* -f mk/man_page.awk $< >$@.part && mv $@.part $@
man: $(MAN_PAGES)

install-files: $(MAN_PAGES) $(BUILD)/bise $(BUILD)/install/libbise.a $(BUILD)/install/$(SHARED) \
               $(BUILD)/install/bise.pc

DATA_FILES := $(wildcard models/demo.bise models/README.md)
BASH_FILES := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_FILES  := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
install: install-files
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(PREFIX)/share/bise' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1' '$(BASH_FILES)' '$(ZSH_FILES)'
	$(INSTALL) -m 755 $(BUILD)/bise '$(DESTDIR)$(PREFIX)/bin/bise'
	$(INSTALL) -m 644 src/bise.h '$(DESTDIR)$(PREFIX)/include/bise.h'
	$(INSTALL) -m 644 $(BUILD)/install/libbise.a '$(DESTDIR)$(LIBDIR)/libbise.a'
	$(INSTALL) -m 755 $(BUILD)/install/$(SHARED) '$(DESTDIR)$(LIBDIR)/$(SHARED)'
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libbise.so'
	$(INSTALL) -m 644 $(BUILD)/install/bise.pc '$(DESTDIR)$(LIBDIR)/pkgconfig/bise.pc'
	$(if $(DATA_FILES),$(INSTALL) -m 644 $(DATA_FILES) '$(DESTDIR)$(PREFIX)/share/bise')
	$(INSTALL) -m 644 $(MAN_FILES) '$(DESTDIR)$(PREFIX)/share/man/man1'
	$(INSTALL) -m 644 docs/completion/bise.bash '$(BASH_FILES)/bise'
	$(INSTALL) -m 644 docs/completion/_bise '$(ZSH_FILES)/_bise'
	@if [ -n '$(DESTDIR)' ]; then :; \
	elif PATH=$$PATH:/sbin:/usr/sbin ldconfig 2>/dev/null; then echo 'ldconfig has been run'; \
	else echo 'programs will find $(LIBDIR)/$(SONAME) after: sudo ldconfig'; fi

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/bise' '$(DESTDIR)$(PREFIX)/include/bise.h' \
	    '$(DESTDIR)$(LIBDIR)/libbise.a' '$(DESTDIR)$(LIBDIR)/$(SHARED)' \
	    '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/libbise.so' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig/bise.pc' '$(BASH_FILES)/bise' '$(ZSH_FILES)/_bise' \
	    $(patsubst %,'$(DESTDIR)$(PREFIX)/share/man/man1/%',$(notdir $(MAN_FILES)))
	rm -rf '$(DESTDIR)$(PREFIX)/share/bise'

.PHONY: man install install-files uninstall
