# make install: program, libraries, header, pkg-config file, demo model and man page.

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
SONAME  := libbise.so.0
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

install-files: $(BUILD)/bise $(BUILD)/install/libbise.a $(BUILD)/install/$(SHARED) \
               $(BUILD)/install/bise.pc

DATA_FILES := $(wildcard models/demo.bise models/README.md)
MAN_FILES  := $(wildcard docs/bise.1)
install: install-files
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(PREFIX)/share/bise' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1'
	$(INSTALL) -m 755 $(BUILD)/bise '$(DESTDIR)$(PREFIX)/bin/bise'
	$(INSTALL) -m 644 src/bise.h '$(DESTDIR)$(PREFIX)/include/bise.h'
	$(INSTALL) -m 644 $(BUILD)/install/libbise.a '$(DESTDIR)$(LIBDIR)/libbise.a'
	$(INSTALL) -m 755 $(BUILD)/install/$(SHARED) '$(DESTDIR)$(LIBDIR)/$(SHARED)'
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libbise.so'
	$(INSTALL) -m 644 $(BUILD)/install/bise.pc '$(DESTDIR)$(LIBDIR)/pkgconfig/bise.pc'
	$(if $(DATA_FILES),$(INSTALL) -m 644 $(DATA_FILES) '$(DESTDIR)$(PREFIX)/share/bise')
	$(if $(MAN_FILES),$(INSTALL) -m 644 $(MAN_FILES) '$(DESTDIR)$(PREFIX)/share/man/man1')

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/bise' '$(DESTDIR)$(PREFIX)/include/bise.h' \
	    '$(DESTDIR)$(LIBDIR)/libbise.a' '$(DESTDIR)$(LIBDIR)/$(SHARED)' \
	    '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/libbise.so' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig/bise.pc' '$(DESTDIR)$(PREFIX)/share/man/man1/bise.1'
	rm -rf '$(DESTDIR)$(PREFIX)/share/bise'

.PHONY: install install-files uninstall
