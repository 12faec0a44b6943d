"""What the code stages know of each programming language: a table, and the parsers behind it.

Grammars come as one wheel per language that carries its parser, so nothing is downloaded when they
are used. A language whose wheel is missing is segmented by indentation, like an unknown one.
"""

from __future__ import annotations

import functools
import importlib
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctxzip.errors import MissingExtraError

if TYPE_CHECKING:
    import tree_sitter

__all__ = ["LANGUAGES", "Language", "comment_of", "parse"]


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Attributes:
        name: how results call it.
        package: the module of its grammar, or None where there is none.
        factory: the function of that module that gives the grammar.
        extensions: of its files, lower case, with the dot.
        tags: what a code fence or a first line (``#!``) may call it.
        marker: what stands for lines left out, ``{}`` being how many.
        functions: node types of functions and methods.
        classes: node types that hold members.
        blocks: node types whose children are statements or members.
        wrappers: node types around a definition (decorators, exports, templates).
        attached: node types that belong to what follows them, beside comments.
        pinned: node types that are never left out by themselves.
        string: node type of a docstring, where the language has them.
    """

    name: str
    package: str | None = None
    factory: str = "language"
    extensions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    marker: str = "// ... {}"
    functions: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    string: str | None = None

    def marked(self, lines: int) -> str:
        """The marker for some lines left out."""
        return self.marker.format(f"{lines} line" if lines == 1 else f"{lines} lines")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SCRIPT_WRAPPERS = _set(
    "export_statement lexical_declaration variable_declaration variable_declarator"
    " expression_statement assignment_expression public_field_definition field_definition"
    " ambient_declaration"
)
_SCRIPT_FUNCTIONS = _set(
    "function_declaration generator_function_declaration method_definition arrow_function"
    " function_expression function generator_function"
)
_C_BLOCKS = _set(
    "translation_unit compound_statement declaration_list field_declaration_list preproc_ifdef"
    " preproc_if preproc_else preproc_elif preproc_elifdef"
)
_TYPESCRIPT_CLASSES = _set(
    "class_declaration abstract_class_declaration class interface_declaration internal_module"
    " module"
)

LANGUAGES: tuple[Language, ...] = (
    Language(
        "python", "tree_sitter_python", extensions=(".py", ".pyi", ".pyw"),
        tags=("python", "py", "python3", "pyi"), marker="...  # {}",
        functions=_set("function_definition"), classes=_set("class_definition"),
        blocks=_set("module block"), wrappers=_set("decorated_definition"),
        pinned=_set("case_clause future_import_statement"), string="string",
    ),
    Language(
        "javascript", "tree_sitter_javascript", extensions=(".js", ".jsx", ".mjs", ".cjs"),
        tags=("javascript", "js", "jsx", "node", "mjs"),
        functions=_SCRIPT_FUNCTIONS, classes=_set("class_declaration class"),
        blocks=_set("program statement_block class_body switch_body"),
        wrappers=_SCRIPT_WRAPPERS, attached=_set("decorator"), pinned=_set("hash_bang_line"),
    ),
    Language(
        "typescript", "tree_sitter_typescript", "language_typescript",
        extensions=(".ts", ".mts", ".cts"), tags=("typescript", "ts"),
        functions=_SCRIPT_FUNCTIONS, classes=_TYPESCRIPT_CLASSES,
        blocks=_set("program statement_block class_body switch_body"),
        wrappers=_SCRIPT_WRAPPERS, attached=_set("decorator"), pinned=_set("hash_bang_line"),
    ),
    Language(
        "tsx", "tree_sitter_typescript", "language_tsx", extensions=(".tsx",), tags=("tsx",),
        functions=_SCRIPT_FUNCTIONS, classes=_TYPESCRIPT_CLASSES,
        blocks=_set("program statement_block class_body switch_body"),
        wrappers=_SCRIPT_WRAPPERS, attached=_set("decorator"), pinned=_set("hash_bang_line"),
    ),
    Language(
        "java", "tree_sitter_java", extensions=(".java",), tags=("java",),
        functions=_set(
            "method_declaration constructor_declaration compact_constructor_declaration"
        ),
        classes=_set(
            "class_declaration interface_declaration enum_declaration record_declaration"
            " annotation_type_declaration"
        ),
        blocks=_set(
            "program class_body interface_body enum_body_declarations block constructor_body"
            " switch_block"
        ),
    ),
    Language(
        "c", "tree_sitter_c", extensions=(".c", ".h"), tags=("c", "h"),
        functions=_set("function_definition"), blocks=_C_BLOCKS,
    ),
    Language(
        "cpp", "tree_sitter_cpp",
        extensions=(".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx", ".ipp", ".cu", ".cuh"),
        tags=("cpp", "c++", "cc", "cxx", "hpp"), functions=_set("function_definition"),
        classes=_set("class_specifier struct_specifier namespace_definition"
                     " linkage_specification"),
        blocks=_C_BLOCKS, wrappers=_set("template_declaration"),
    ),
    Language(
        "c#", "tree_sitter_c_sharp", extensions=(".cs",), tags=("csharp", "cs", "c#"),
        functions=_set(
            "method_declaration constructor_declaration destructor_declaration"
            " local_function_statement operator_declaration conversion_operator_declaration"
            " property_declaration indexer_declaration"
        ),
        classes=_set(
            "namespace_declaration class_declaration struct_declaration interface_declaration"
            " record_declaration"
        ),
        blocks=_set("compilation_unit declaration_list block switch_body"),
        wrappers=_set("global_statement"),
    ),
    Language(
        "go", "tree_sitter_go", extensions=(".go",), tags=("go", "golang"),
        functions=_set("function_declaration method_declaration"),
        blocks=_set("source_file statement_list"), pinned=_set("package_clause"),
    ),
    Language(
        "rust", "tree_sitter_rust", extensions=(".rs",), tags=("rust", "rs"),
        functions=_set("function_item"), classes=_set("impl_item trait_item mod_item"),
        blocks=_set("source_file declaration_list block"),
        attached=_set("attribute_item"), pinned=_set("inner_attribute_item"),
    ),
    Language(
        "ruby", "tree_sitter_ruby", extensions=(".rb", ".rake", ".gemspec"),
        tags=("ruby", "rb"), marker="# ... {}", functions=_set("method singleton_method"),
        classes=_set("class module singleton_class"),
        blocks=_set("program body_statement then else do block_body"),
        pinned=_set("rescue ensure else heredoc_body"),
    ),
    Language(
        "php", "tree_sitter_php", "language_php", extensions=(".php", ".phtml"),
        tags=("php",), functions=_set("function_definition method_declaration"),
        classes=_set(
            "class_declaration interface_declaration trait_declaration namespace_definition"
        ),
        blocks=_set("program declaration_list compound_statement switch_block"),
        pinned=_set("php_tag text_interpolation text"), attached=_set("attribute_list"),
    ),
    Language(
        "kotlin", "tree_sitter_kotlin", extensions=(".kt", ".kts"), tags=("kotlin", "kt"),
        functions=_set("function_declaration secondary_constructor"),
        classes=_set("class_declaration object_declaration companion_object"),
        blocks=_set("source_file class_body block"), pinned=_set("package_header"),
    ),
    # A body of Bash must hold a command, so the marker is one that does nothing.
    Language(
        "bash", "tree_sitter_bash", extensions=(".sh", ".bash", ".bats"),
        tags=("bash", "sh", "shell", "zsh", "ksh"), marker=":  # {}",
        functions=_set("function_definition"), blocks=_set("program compound_statement do_group"),
        pinned=_set("heredoc_body heredoc_end"),
    ),
)  # fmt: skip

_LINE_COMMENT = re.compile(r"[ \t]*(#|//|--|;+|%+|'|\")(?:[ \t!]|\1)", re.M)
_BY_NAME = {language.name: language for language in LANGUAGES}
_local = threading.local()


def comment_of(text: str) -> str:
    """The marker for a text in an unknown language: its own line comment, or ``#``."""
    found: dict[str, int] = {}
    for match in _LINE_COMMENT.finditer(text):
        sign = match.group(1)[0] if match.group(1)[0] in ";%" else match.group(1)
        found[sign] = found.get(sign, 0) + 1
    found = {sign: n for sign, n in found.items() if sign not in "'\"" or n > 3}
    return f"{max(found, key=found.__getitem__) if found else '#'} ... {{}}"


@functools.cache
def _grammar(name: str) -> tree_sitter.Language | None:
    language = _BY_NAME[name]
    try:
        bindings = importlib.import_module("tree_sitter")
        module = importlib.import_module(str(language.package))
    except ImportError:
        return None
    found: tree_sitter.Language = bindings.Language(getattr(module, language.factory)())
    return found


def parse(source: bytes, language: Language) -> tree_sitter.Tree:
    """The syntax tree of a text; parsers are kept per thread, since they are not thread-safe.

    Args:
        source: UTF-8.
        language: one with a grammar.

    Raises:
        MissingExtraError: its wheel is not installed.
    """
    grammar = _grammar(language.name)
    if grammar is None:
        raise MissingExtraError(str(language.package).replace("_", "-"), "code")
    from tree_sitter import Parser

    parsers: dict[str, Parser] = _local.__dict__.setdefault("parsers", {})
    if language.name not in parsers:
        parsers[language.name] = Parser(grammar)
    return parsers[language.name].parse(source)
