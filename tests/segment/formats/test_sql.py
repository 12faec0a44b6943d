import re
import sqlite3

import pytest

from ctxzip.segment.formats import sql as reader
from ctxzip.text.units import Kind
from tests.segment.formats.checks_tables import assert_linear, assert_never_raises, assert_rows
from tests.segment.formats.harness import everything, outputs, tree_of

SHOP = """--
-- Dump of the shop; do not edit
--

PRAGMA foreign_keys = 0;

-- Users; "live" ones
CREATE TABLE users (
    id integer NOT NULL,
    name varchar(50) DEFAULT 'a;b',
    price numeric(10,2),
    PRIMARY KEY (id)
);

INSERT INTO users (id, name, price) VALUES
  (1, 'Ann; O''Hara', 2.50),
  (2, 'Bob, (jr)', abs(-3)),
  (3, NULL, 2.50),
  (4, 'Ann; O''Hara', 7);
INSERT INTO users (id, name, price) VALUES (7, 'Zoe', 1);  -- late

/* orders; all */
CREATE TABLE orders (id integer, user_id integer, note text);
INSERT INTO orders VALUES (1, 7, 'x'),(2, 7, '-- no comment'),(3, 1, 'x');
INSERT INTO orders VALUES (4, 1, 'x');
UPDATE users SET price = 3 WHERE name = ';';
CREATE INDEX by_user ON orders (user_id);
SELECT u.name, count(*) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY 1;
"""
DUMP = """-- MySQL dump 10.13
/*!40101 SET NAMES utf8 */;
DROP TABLE IF EXISTS `users`;
CREATE TABLE `users` (
  `id` int(11) NOT NULL,
  `name` varchar(20)
) ENGINE=InnoDB;
LOCK TABLES `users` WRITE;
INSERT INTO `users` VALUES (1,'a\\'b; c'),(2,'d'),(3,'d');
UNLOCK TABLES;
DELIMITER ;;
CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN SET NEW.id = 1; END;;
DELIMITER ;
"""
POSTGRES = """COPY public.orders (id, user_id, note) FROM stdin;
1\t7\tfirst
2\t7\t
3\t\\N\tlast
\\.

CREATE FUNCTION f() RETURNS int AS $$
BEGIN
  RETURN 1;
END;
$$ LANGUAGE plpgsql;
SELECT f();
"""
TABLES = re.findall(r"CREATE TABLE .*?\);\n", SHOP, re.DOTALL)


def inserted(script: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows that a script inserts, each table created beforehand as in the source."""
    base = sqlite3.connect(":memory:")
    for create in TABLES:
        base.execute(create)
    statement = ""
    for piece in re.split(r"(?<=;)", script):
        statement += piece
        if not sqlite3.complete_statement(statement):
            continue
        if "CREATE TABLE" in statement:
            sqlite3.connect(":memory:").execute(statement)  # it parses
        else:
            base.execute(statement)
        statement = ""
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", "", statement)
    assert not bare.strip(), f"{statement!r} of {script!r}"
    return {name: base.execute(f"SELECT * FROM {name}").fetchall() for name in ("users", "orders")}


def test_every_output_runs_and_inserts_rows_of_the_source() -> None:
    source = inserted(SHOP)
    assert inserted(everything(SHOP, reader.read)) == source
    for output in outputs(SHOP, reader.read, reader.STYLE, n=40):
        for name, rows in inserted(output).items():
            assert_rows(source[name], rows, output)


def test_rows_without_column_names_come_with_their_table() -> None:
    for output in outputs(SHOP, reader.read, reader.STYLE, n=20):
        if "INTO orders" in output:
            assert "CREATE TABLE orders (id integer, user_id integer, note text);" in output
    tree = tree_of(DUMP, reader.read)
    rows = [i for i in range(len(tree)) if tree.kind[i] == Kind.ROW]
    assert [tree.readings[i] for i in rows] == [
        "id: 1; name: a\\'b; c",
        "id: 2; name: d",
        "id: 3; name: d",
    ]
    table = tree.parent[tree.parent[rows[0]]]
    assert DUMP[tree.start[table] : tree.end[table]].startswith("CREATE TABLE `users`")


def test_rows_read_as_values_under_their_names() -> None:
    tree = tree_of(SHOP, reader.read)
    rows = [tree.readings[i] for i in range(len(tree)) if tree.kind[i] == Kind.ROW]
    assert rows[:3] == [
        "id: 1; name: Ann; O'Hara; price: 2.50", "id: 2; name: Bob, (jr); price: abs(-3)",
        "id: 3; price: 2.50",
    ]  # fmt: skip
    assert "users: id: 7; name: Zoe; price: 1" in tree.readings


def test_comments_belong_to_the_statement_below() -> None:
    tree = tree_of(SHOP, reader.read)
    parts = [SHOP[a:b] for a, b in zip(tree.start.tolist(), tree.end.tolist(), strict=True)]
    assert parts[0].startswith("-- Dump of the shop")
    assert '-- Users; "live" ones\nCREATE TABLE users (' in parts
    assert "INSERT INTO users (id, name, price) VALUES (7, 'Zoe', 1);  -- late" in parts
    assert any(part.startswith("/* orders; all */\nCREATE TABLE orders") for part in parts)


def test_statements_end_outside_of_strings_and_bodies() -> None:
    def parts(text: str) -> list[str]:
        tree = tree_of(text, reader.read)
        top = [i for i in range(len(tree)) if tree.parent[i] < 0]
        return [text[tree.start[i] : tree.end[tree.last[i] - 1]] for i in top]

    assert len(parts(POSTGRES)) == 3
    assert parts(POSTGRES)[1].endswith("LANGUAGE plpgsql;")
    assert parts(DUMP)[-1].startswith("DELIMITER ;;")
    assert parts(DUMP)[-1].endswith("DELIMITER ;")
    assert len(parts("SELECT 'a;b'; SELECT \"c;d\"; SELECT 1 /* ; */; SELECT 2 -- ;\n;")) == 4
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = 1; END;\nSELECT 1;\n"
    assert len(parts(trigger)) == 2


def test_copied_rows_keep_an_empty_last_cell() -> None:
    for output in outputs(POSTGRES, reader.read, reader.STYLE):
        lines = output.split("\n")
        if "COPY" in output:
            assert lines[-1] == "\\." or "\\." in lines
            rows = lines[1 : lines.index("\\.")]
            assert_rows(POSTGRES.split("\n")[1:4], rows, output)


def test_long_statements_are_divided_into_lines() -> None:
    body = "\n".join(f"  SELECT {i};" for i in range(200))
    text = f"CREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n{body}\nEND;\n$$ LANGUAGE plpgsql;\n"
    tree = tree_of(text, reader.read)
    assert tree.kind.tolist()[:2] == [Kind.ENTRY, Kind.LINE]
    assert tree.always[-1]


def test_a_quote_that_is_never_closed_ends_the_statements() -> None:
    text = "SELECT 1 FROM a;\nSELECT 'open FROM b;\nSELECT 2 FROM c;\n"
    tree = tree_of(text, reader.read)
    assert tree.kind.tolist() == [Kind.ENTRY, Kind.LINE, Kind.LINE]
    assert tree.notes


@pytest.mark.parametrize("text", [SHOP, DUMP, POSTGRES, "select a, b from c where d = 1;\n"])
def test_sql_is_taken(text: str) -> None:
    assert reader.fits(text, 0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        "Select the items from the list and press enter.\n",
        "select the file from the menu\n",
        "Update packages set in stone.\n",
        "Create a table of contents.\n",
        "-- a comment of Haskell\nmain = print 1\n",
        "set x = 5\nset number\n",
        "a,b\n1,2\n",
        "# Title\n\nSELECT is a keyword.\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    pieces = (
        "(1, 'a'),\n", "(", "'", '"', "/* ", "-- x\n", "$a$ ", ";", "((", "(1,'", "\\'", "E'",
        "CREATE TABLE t (", "INSERT INTO t VALUES (1);\n", "BEGIN ", "CREATE FUNCTION ",
        "CREATE TRIGGER t BEGIN x;\n", "DELIMITER //\n", "COPY t FROM stdin;\n", "--\n", "/**/",
    )  # fmt: skip
    for piece in pieces:
        assert_linear(reader.read, piece, n=100, head="INSERT INTO t VALUES (1, 'a'),\n")
        assert_linear(reader.read, piece, n=100, head="SELECT 1 FROM a;\n")
        assert_linear(reader.fits, piece, n=100)


def test_broken_text_never_raises() -> None:
    for text in (SHOP, DUMP, POSTGRES):
        assert_never_raises(reader.fits, reader.read, text)
