import re

import pytest

from ctxzip.segment.formats import columns as reader
from ctxzip.text.units import Kind
from tests.segment.formats.checks_tables import (
    assert_linear,
    assert_never_raises,
    assert_rows,
    unmarked,
)
from tests.segment.formats.harness import everything, outputs, tree_of

PODS = """$ kubectl get pods
NAME                    READY   STATUS             RESTARTS      AGE
web-5c7588df-4xk2p      1/1     Running            0             5d2h
web-5c7588df-9qwzz      0/1     CrashLoopBackOff   17 (2m ago)   5d2h
db-0                    1/1     Running            0             12d
"""
DISKS = """Filesystem     1K-blocks     Used Available Use% Mounted on
udev             8123456        0   8123456   0% /dev
/dev/sda1      102400000 81234567  21165433  80% /
/dev/mapper/vg0-data 512000000 1234 510998766 1% /srv/my data
tmpfs            8123456        0   8123456   0% /run
"""
PROCESSES = """USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
root           1  0.0  0.1 168140 11300 ?        Ss   Oct12   0:11 /sbin/init splash
root           2  0.0  0.0      0     0 ?        S    Oct12   0:00 [kthreadd]
postgres    1203  0.3  2.5 2187652 204800 ?      Ss   Oct12  45:10 postgres: main   process
"""
FILES = """total 24
drwxr-xr-x  2 ann  staff   64 Jan  5 10:01 docs
-rw-r--r--  1 ann  staff 1204 Jan 15 10:01 my  file.txt
-rw-r--r-- 11 root staff    4 Mar  1  2023 b
"""
CONTAINERS = """CONTAINER ID   IMAGE        STATUS                     PORTS                NAMES
0a1b2c3d4e5f   nginx:1.25   Up 2 hours                 0.0.0.0:80->80/tcp   web
9f8e7d6c5b4a   redis:7      Exited (1) 5 minutes ago                        cache
aaaaaaaaaaaa   redis:7      Up 2 hours                                      queue
"""
PSQL = """ id |    name    | city
----+------------+------
  1 | Ann        | Rome
  2 |            | Oslo
    | Zoe        |\x20
  4 | Ann        | Oslo
(4 rows)
"""
MYSQL = """mysql> select * from users;
+----+-------+------+
| id | name  | city |
+----+-------+------+
|  1 | Ann   | Rome |
|  2 | NULL  | Oslo |
|  3 | Ann   |      |
+----+-------+------+
3 rows in set (0.00 sec)
"""
SOCKETS = """Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
tcp6       0      0 :::80                   :::*                    LISTEN      1033/nginx: master
udp        0      0 0.0.0.0:68              0.0.0.0:*                           700/dhclient
"""
PIP = """Package            Version
------------------ ---------
certifi            2024.2.2
charset-normalizer 3.3.2
idna               3.6
"""
MEMORY = """               total        used        free      shared  buff/cache   available
Mem:           15868        5120        4000         310        6748       10100
Swap:           2047           0        2047
"""
TOP = """top - 10:00:01 up 12 days,  3:04,  2 users,  load average: 0.10, 0.20, 0.30
Tasks: 200 total,   1 running, 199 sleeping,   0 stopped,   0 zombie

    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
   1203 postgres  20   0 2187652 204800  10000 S  12.5   2.5  45:10.10 postgres
      1 root      20   0  168140  11300   8000 S   0.0   0.1   0:11.01 systemd
"""
GRID = """+------+--------+
| Name | Note   |
+======+========+
| Ann  | first  |
|      | second |
+------+--------+
| Bob  | third  |
+------+--------+
"""
BOX = """┏━━━━━━━┳━━━━━━━┓
┃ Name  ┃ Score ┃
┡━━━━━━━╇━━━━━━━┩
│ Ann   │    12 │
│ Bob   │     7 │
└───────┴───────┘
"""
ALL = """NAME          READY   STATUS    RESTARTS   AGE
pod/web-4xk   1/1     Running   0          5d
pod/db-0      1/1     Running   0          5d

NAME                 TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   AGE
service/kubernetes   ClusterIP   10.96.0.1    <none>        443/TCP   5d
service/web          ClusterIP   10.96.0.4    <none>        80/TCP    5d
"""
TABLES = {
    "pods": PODS, "disks": DISKS, "processes": PROCESSES, "files": FILES, "containers": CONTAINERS,
    "psql": PSQL, "mysql": MYSQL, "sockets": SOCKETS, "pip": PIP, "memory": MEMORY, "top": TOP,
    "grid": GRID, "box": BOX, "all": ALL,
}  # fmt: skip
_BORDER = re.compile(r"[\s+|=─━┌┬┐├┼┤└┴┘┏┳┓┡╇┩-]+")


def squeezed(text: str) -> list[str]:
    """Lines without frames and padding; two bars hold an empty cell."""
    lines = [line for line in text.split("\n") if line.strip() and not _BORDER.fullmatch(line)]
    return [re.sub(r" +", " ", line).strip() for line in lines]


@pytest.mark.parametrize("name", TABLES)
def test_every_output_is_headers_and_rows_of_the_source(name: str) -> None:
    text = TABLES[name]
    assert reader.fits(text, 0, len(text))
    tree = tree_of(text, reader.read)
    heads = dict(zip(*pairs(text, tree), strict=True))
    assert squeezed(everything(text, reader.read)) == squeezed(text)
    for output in outputs(text, reader.read):
        lines = squeezed(unmarked(output))
        assert_rows(squeezed(text), lines, output)
        for line in lines:
            for above in heads.get(line, ()):
                assert above in lines, f"{line!r} without {above!r}"


def pairs(text: str, tree):  # type: ignore[no-untyped-def]
    """Lines of rows, and the lines that they belong to."""
    rows, above = [], []
    for i in range(len(tree)):
        if tree.kind[i] != Kind.ROW or tree.parent[i] < 0:
            continue
        line = squeezed(text[tree.start[i] : tree.end[i]])
        parent = tree.parent[i]
        rows.append(line[0])
        above.append(squeezed(text[tree.start[parent] : tree.end[parent]]))
    return rows, above


@pytest.mark.parametrize(
    ("name", "row", "reading"),
    [
        ("pods", 3, "NAME: web-5c7588df-9qwzz; READY: 0/1; STATUS: CrashLoopBackOff; "
         "RESTARTS: 17 (2m ago); AGE: 5d2h"),
        ("disks", 3, "Filesystem: /dev/mapper/vg0-data; 1K-blocks: 512000000; Used: 1234; "
         "Available: 510998766; Use%: 1%; Mounted on: /srv/my data"),
        ("processes", 1, "USER: root; PID: 1; %CPU: 0.0; %MEM: 0.1; VSZ: 168140; RSS: 11300; "
         "TTY: ?; STAT: Ss; START: Oct12; TIME: 0:11; COMMAND: /sbin/init splash"),
        ("containers", 2, "CONTAINER ID: 9f8e7d6c5b4a; IMAGE: redis:7; "
         "STATUS: Exited (1) 5 minutes ago; NAMES: cache"),
        ("psql", 2, "id: 2; city: Oslo"),
        ("psql", 3, "name: Zoe"),
        ("mysql", 4, "id: 3; name: Ann"),
        ("sockets", 4, "Proto: udp; Recv-Q: 0; Send-Q: 0; Local Address: 0.0.0.0:68; "
         "Foreign Address: 0.0.0.0:*; PID/Program name: 700/dhclient"),
        ("pip", 2, "Package: charset-normalizer; Version: 3.3.2"),
        ("memory", 2, "Swap:; total: 2047; used: 0; free: 2047"),
        ("grid", 1, "Name: Ann; Note: first second"),
        ("box", 2, "Name: Bob; Score: 7"),
    ],
)  # fmt: skip
def test_rows_read_as_cells_under_their_names(name: str, row: int, reading: str) -> None:
    assert tree_of(TABLES[name], reader.read).readings[row] == reading


def test_padding_goes_where_no_cell_can_move() -> None:
    assert everything(PODS, reader.read).split("\n")[3] == (
        "web-5c7588df-9qwzz  0/1  CrashLoopBackOff  17 (2m ago)  5d2h"
    )
    assert everything(PROCESSES, reader.read).split("\n")[3] == (
        "postgres 1203 0.3 2.5 2187652 204800 ? Ss Oct12 45:10 postgres: main   process"
    )
    assert everything(FILES, reader.read).split("\n")[2] == (
        "-rw-r--r-- 1 ann staff 1204 Jan 15 10:01 my  file.txt"
    )
    assert everything(CONTAINERS, reader.read) == CONTAINERS.rstrip("\n")
    assert everything(SOCKETS, reader.read) == SOCKETS.rstrip("\n")
    assert everything(PSQL, reader.read).split("\n")[1:4] == [
        "---+---+---", " 1 | Ann | Rome", " 2 |  | Oslo",
    ]  # fmt: skip


def test_rows_without_a_first_cell_belong_to_the_row_above() -> None:
    text = (
        "NAMESPACE   POD       CONTAINER   STATE\n"
        "shop        web-1     nginx       Running\n"
        "                      proxy       Waiting\n"
        "shop        web-2     nginx       Running\n"
    )
    assert tree_of(text, reader.read).parent.tolist() == [-1, 0, 1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "Prose has no columns.  Two blanks behind a stop are a habit of typists.\nNothing else.\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
        "a,b,c\n1,2,3\n4,5,6\n",
        "int    a    = 1;\nfloat  b    = 2;\nchar   c    = 3;\n",
        "x = 1\nlong_name  = 2\n",
        "2024-01-01 10:00:00  INFO   web  started\n2024-01-01 10:00:01  ERROR  web  died\n"
        "2024-01-01 10:00:02  INFO   web  started\n",
        "INFO   web   started up\nERROR  db    went away\nINFO   web   ready again\n",
        "name:    web\nport:    80\nhost:    example\n",
        "usage: tool [-h]\n\noptions:\n  -h, --help     show this\n  -v, --verbose  say more\n",
        "# Title\n\n- item one\n- item two\n\nSome text.\n",
        "<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>\n",
        "- name: a\n  port: 1\n- name: b\n  port: 2\n",
        "def f(a):\n    return a\n\n\ndef g(b):\n    return b\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    for piece in (
        " a" * 20 + "\n",
        "|" * 30 + "\n",
        "-" * 40 + "\n",
        "a  " * 30 + "\n",
        "+--" * 9 + "\n",
    ):
        assert_linear(reader.read, piece, head="NAME   AGE   CITY\n", n=120)
    assert_linear(reader.read, "web   1   Rome\n", n=300, head="NAME   AGE   CITY\n")
    assert_linear(reader.read, "  ", head="NAME   AGE   CITY\nweb   1   Rome\nweb")


@pytest.mark.parametrize("name", TABLES)
def test_broken_text_never_raises(name: str) -> None:
    assert_never_raises(reader.fits, reader.read, TABLES[name])
