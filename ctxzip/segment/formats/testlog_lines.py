"""Lines that tests, compilers and linters write, told by their beginning."""

from __future__ import annotations

import re

__all__ = [
    "BANNER",
    "BLOCK",
    "CAPTURED",
    "DIAGNOSTIC",
    "DONE",
    "FUNCTION",
    "INCLUDED",
    "LINTED",
    "MARK",
    "PATH_HEAD",
    "PLACE",
    "RULE",
    "RUN",
    "RUSTC",
    "SHOWN",
    "STRONG",
    "SUITE",
    "TAP",
    "TOTALS",
]

BANNER = re.compile(  # the head of a section
    r"(?P<bar>[=⎯─]{3,}) (?P<title>[^=⎯].*?) [=⎯─]{3,}\s*$"
    r"|(?:failures|successes|errors|Failures|Failed examples|Summary of all failing tests"
    r"|\s*Failed Tests.*):?\s*$"
    r"|running \d+ tests?\s*$|\* What went wrong:|\* Try:|There (?:was|were) \d+ (?:failure"
    r"|error)s?:"
    r"|\s*Running (?:unittests )?(?:src|tests)/\S+ \(.*\)|\s*Doc-tests \S+"
)
TOTALS = re.compile(r"\b\d+ (?:passed|failed|errors?|warnings?|skipped|deselected)\b|no tests ran")
BLOCK = re.compile(  # the head of what one test says
    r"_{3,} (?P<pytest>.+?) _{3,}\s*$"
    r"|-{4} (?P<cargo>\S.*?) (?:stdout|stderr) -{4}\s*$"
    r"|  ● (?P<jest>.+)"
    r"|(?:FAIL|ERROR): (?P<unittest>\w.*)"
    r"| ?FAIL  (?P<vitest>\S.* > .+)"
    r"|\s{0,4}\d+\) (?P<rspec>\S.*)"
    r"|--- FAIL: (?P<go>\S+)"
    r"|\s*(?P<gradle>\S.* > .* FAILED)\s*$"
    r"|\[ERROR\] +(?P<maven>\S.*<<< (?:FAILURE|ERROR)!.*)"
)
SUITE = re.compile(r"\s*(?:PASS|FAIL|RUNS) +\S+\.\w+|\s*[❯✓×] \S+\.[jt]sx? \(")
RUN = re.compile(r"\s*=== (?:RUN|CONT|NAME) +(\S+)")
DONE = re.compile(r"\s*--- (PASS|FAIL|SKIP): (\S+)")
TAP = re.compile(r"\s*(?:not )?ok \d+\b")
MARK = re.compile(r"(\s*)[✓✔√✕✖×✗○◌-] ")
PLACE = re.compile(r"\S+:\d+: (?:\w+\.)*\w*$|\S+:\d+: \w+")
CAPTURED = re.compile(r"-{4,} Captured .* -{4,}\s*$|-{4,} generated .*")
FUNCTION = re.compile(
    r"\S+: (?:In (?:static |member |lambda )*(?:function|constructor|destructor|instantiation"
    r"|method).*|At (?:top level|global scope)):\s*$"
)
INCLUDED = re.compile(r"In file included from |\s+from \S+:\d+[:,]")
DIAGNOSTIC = re.compile(
    r"\S[^\s:]*(?:[/\\][^:]*)?(?::\d+:\d+|:\d+|\(\d+,\d+\))\s*(?::"
    r"|-)\s*(?:\w+ )?(?P<level>fatal error|error|warning|note|info|hint"
    r"|remark)\b|\S+\.\w+:\d+(?::\d+)?: [A-Z]{1,5}\d{2,5}\b|(?:ERROR|WARNING) in \S+"
    r"|(?:ld|collect2|clang|cc1|rustc|make|gmake|ninja)\S*: (?:error|fatal|\*\*\*)"
)
RUSTC = re.compile(r"(?:error|warning)(?:\[\w+\])?: \S|[A-Z]{1,4}\d{3,4} (?:\[\*\] )?\S")
SHOWN = re.compile(r"\s*(?:\d+)? *[|│] ?|\s+[~^]+|\s*\d+ .*|\s+[~^]*\s*$|\s{2,}\S")
LINTED = re.compile(r"\s+\d+:\d+\s+(?:error|warning)\s")
PATH_HEAD = re.compile(r"(?:[A-Za-z]:)?[\w./\\@+-]*[/\\][\w./\\@+\[\]-]+\.\w+$|[\w-]+\.[a-z]{1,4}$")
RULE = re.compile(r"[-=_*⎯─]{5,}\s*$|\[INFO\]\s*[-<>]*\s*$|\[ERROR\]\s*$")

STRONG = re.compile(
    r"={3,} (?:test session starts|FAILURES|ERRORS|short test summary info|warnings summary) ={3,}"
    r"|={3,} .*\b\d+ (?:passed|failed|error).* ={3,}"
    r"|running \d+ tests?$|test result: (?:ok|FAILED)\."
    r"|test \S+(?: - should panic)? \.\.\. (?:ok|FAILED|ignored)"
    r"|=== RUN   \S+|\s*--- (?:FAIL|PASS|SKIP): \S+ \(|(?:ok|FAIL)\s+\S+/\S+\s+(?:[\d.]+s"
    r"|\(cached\))"
    r"|TAP version \d+|(?:not )?ok \d+ - |Test Suites: |Tests: +\d+|\s+[✓✔✕×] .+|\s*● .+ › .+"
    r"|(?:PASS|FAIL) +\S+\.(?:[jt]sx?|mjs)|(?:error|warning)\[[A-Z]?\d+\]: |\s+Compiling \S+ v\d"
    r"|\s+Finished .*target"
    r"|Ran \d+ tests? in [\d.]+s|(?:FAIL|ERROR): \w+ \([\w.]+\)|npm (?:ERR!|error) "
    r"|g?make(?:\[\d+\])?: (?:\*\*\*|Entering|Leaving|Nothing)|\[ *\d+%\] (?:Building|Linking"
    r"|Built)|\[\d+/\d+\] \S"
    r"|\[(?:INFO|ERROR|WARNING)\] (?:BUILD|Tests run|Scanning|---|COMPILATION|Building|-{5,})"
    r"|BUILD (?:FAILED|SUCCESSFUL)|> Task :"
    r"|\S+::\S+ (?:PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)\b|(?:FAILED|ERROR) \S+::\S+"
    r"|\S+\.py [.FEsxX]+ +\[ *\d+%\]"
    r"|Found \d+ errors?|✖ \d+ problems?|\d+ examples?, \d+ failures?|\S+: In function '"
)
