# The manual page of one command, out of docs/bise.1: awk -v command=run -f mk/man_page.awk docs/bise.1
# Taken are the command's entry in COMMANDS, its comment `is:` as the line of NAME, the sections of options whose comment `for:` names it, its
# part of EXAMPLES, and exit status, environment and files.
/^\.SH / {
    section = substr($0, 5)
    options = 0
    entry = 0
    example = 0
    if (section ~ /^OPTIONS/)
        title = section
    next
}
/^\.\\" for: / {
    n = split(substr($0, 10), names, " ")
    for (i = 1; i <= n; i++)
        if (names[i] == command) {
            options = 1
            body = body ".SH " (title == "OPTIONS OF " toupper(command) ? "OPTIONS" : title) "\n"
        }
    next
}
section == "COMMANDS" && /^\.TP/ {
    entry = 0
    next
}
section == "COMMANDS" && index($0 " ", ".B bise " command " ") == 1 {
    entry = 1
    synopsis = $0
    next
}
section == "COMMANDS" && entry && /^\.\\" is: / {
    summary = substr($0, 9)
    next
}
section == "COMMANDS" && entry { text = text $0 "\n" }
section ~ /^OPTIONS/ && options { body = body $0 "\n" }
section == "EXAMPLES" && /^\.SS / {
    example = substr($0, 5) == command
    next
}
section == "EXAMPLES" && example { examples = examples $0 "\n" }
section == "EXIT STATUS" { status = status $0 "\n" }
section == "ENVIRONMENT" { environment = environment $0 "\n" }
section == "FILES" { files = files $0 "\n" }
END {
    if (!synopsis)
        exit 1
    printf ".TH BISE-%s 1 \"\" \"bise\" \"User commands\"\n", toupper(command)
    printf ".SH NAME\nbise-%s \\- %s\n", command, summary
    printf ".SH SYNOPSIS\n%s \\fR[\\fIoptions\\fR]\n.SH DESCRIPTION\n%s", synopsis, text
    printf "%s.SH EXAMPLES\n%s", body, examples
    printf ".SH EXIT STATUS\n%s.SH ENVIRONMENT\n%s.SH FILES\n%s", status, environment, files
    printf ".SH SEE ALSO\n.BR bise (1)\n"
}
