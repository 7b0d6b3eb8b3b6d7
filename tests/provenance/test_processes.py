"""Which process a row means: reuse of pids, GUIDs and pids of one process, orphans, late rows, Linux."""

from __future__ import annotations

from typing import Any

EXPLORER = (50, 5, "explorer.exe")


def test_a_pid_that_is_used_again_is_another_process(log: Any) -> None:
    log.create_4688(0, 100, "first.exe", 50)
    log.security(1, 4663, ProcessId="0x64", ProcessName="C:\\first.exe", ObjectType="File", ObjectName="C:\\one",
                 AccessMask="0x2")  # fmt: skip
    log.create_4688(5, 100, "second.exe", 50)
    log.security(6, 4663, ProcessId="0x64", ProcessName="C:\\second.exe", ObjectType="File", ObjectName="C:\\two",
                 AccessMask="0x2")  # fmt: skip
    graph = log.graph()
    [first], [second] = log.named(graph, "first.exe"), log.named(graph, "second.exe")
    assert first["pid"] == second["pid"] == 100 and first["end_ts"] == second["first_ts"]
    paths = dict(zip(graph["file_nodes"]["id"].to_pylist(), graph["file_nodes"]["path"].to_pylist(), strict=True))
    used = {each["src_id"]: paths[each["dst_id"]] for each in log.edges(graph, "PROC_FILE_RW")}
    assert used == {first["id"]: "C:\\one", second["id"]: "C:\\two"}


def test_a_pid_that_is_used_again_by_the_same_program_is_another_process(log: Any) -> None:
    for second in (0, 10, 20):
        log.create_4688(second, 100, "cmd.exe", 50, command="cmd.exe /c x")
    assert len(log.named(log.graph(), "cmd.exe")) == 3


def test_a_pid_means_nothing_after_its_process_ended(log: Any) -> None:
    log.create_4688(0, 100, "cmd.exe", 50)
    log.security(1, 4689, ProcessId="0x64", ProcessName="C:\\cmd.exe")
    log.security(60, 5156, ProcessId=100, Application="\\device\\harddiskvolume2\\cmd.exe",
                 Direction="%%14593", SourceAddress="10.0.0.1", DestAddress="10.0.0.2", DestPort=80)  # fmt: skip
    early, late = log.named(log.graph(), "cmd.exe")
    assert early["end_ts"] < late["first_ts"] and late["created_ts"] is None


def test_a_row_that_is_logged_just_after_the_end_still_means_the_process(log: Any) -> None:
    log.create_4688(0, 100, "cmd.exe", 50)
    log.security(1, 4689, ProcessId="0x64", ProcessName="C:\\cmd.exe")
    log.security(1.5, 4663, ProcessId="0x64", ProcessName="C:\\cmd.exe", ObjectType="File", ObjectName="C:\\f",
                 AccessMask="0x1")  # fmt: skip
    assert len(log.named(log.graph(), "cmd.exe")) == 1


def test_two_reports_of_one_creation_are_one_process(log: Any) -> None:
    log.create(0, 100, 1, "cmd.exe", EXPLORER, CommandLine="cmd  /c x")
    log.create_4688(0.4, 100, "cmd.exe", 50, "explorer.exe", command="cmd /c x")
    log.create_4688(10, 101, "net.exe", 100, "cmd.exe", command="net")  # the other order
    log.create(10.2, 101, 2, "net.exe", (100, 1, "cmd.exe"), CommandLine="net")
    graph = log.graph()
    assert log.tree(graph) == {"explorer.exe": None, "cmd.exe": "explorer.exe", "net.exe": "cmd.exe"}
    assert [len(each["created_by"]) for each in log.procs(graph)] == [0, 2, 2]
    assert [each["n"] for each in log.edges(graph, "PROC_CHILD")] == [2, 2]


def test_two_creations_with_one_pid_but_other_command_lines_are_two(log: Any) -> None:
    log.create(0, 100, 1, "cmd.exe", EXPLORER, CommandLine="cmd /c one")
    log.create_4688(0.4, 100, "cmd.exe", 50, "explorer.exe", command="cmd /c two")
    assert len(log.named(log.graph(), "cmd.exe")) == 2


def test_a_creation_whose_pid_was_lost_is_joined_by_its_command_line(log: Any) -> None:
    log.create(0, None, 1, "cmd.exe", EXPLORER, CommandLine="cmd /c x")
    log.create_4688(0.4, 100, "cmd.exe", 50, "explorer.exe", command="cmd /c x")
    [cmd] = log.named(log.graph(), "cmd.exe")
    assert cmd["pid"] == 100 and len(cmd["created_by"]) == 2


def test_a_guid_takes_over_the_process_that_was_known_by_its_pid(log: Any) -> None:
    log.security(0, 4663, ProcessId="0x64", ProcessName="C:\\a.exe", ObjectType="File", ObjectName="C:\\f",
                 AccessMask="0x1")  # fmt: skip
    log.sysmon(9, 11, 100, 1, TargetFilename="C:\\g")
    log.security(20, 4663, ProcessId="0x64", ProcessName="C:\\A.EXE", ObjectType="File", ObjectName="C:\\h",
                 AccessMask="0x1")  # fmt: skip
    [proc] = log.procs(log.graph())
    assert proc["guid"] and proc["first_ts"] < proc["last_ts"]


def test_a_guid_does_not_take_over_a_process_of_another_image(log: Any) -> None:
    log.security(0, 4663, ProcessId="0x64", ProcessName="C:\\other.exe", ObjectType="File", ObjectName="C:\\f",
                 AccessMask="0x1")  # fmt: skip
    log.sysmon(9, 11, 100, 1, TargetFilename="C:\\g")
    other, proc = log.procs(log.graph())
    assert other["guid"] is None and other["end_ts"] == proc["first_ts"]


def test_the_same_pid_and_guid_on_two_hosts_are_two_processes(log: Any) -> None:
    for host in ("ws", "dc.lab.local"):
        log.sysmon(0, 11, 100, 1, TargetFilename="C:\\g", host=host)
    assert [each["host"] for each in log.procs(log.graph())] == ["ws", "dc"]


def test_an_orphan_hangs_below_a_node_for_its_unseen_parent(log: Any) -> None:
    log.create(0, 100, 1, "a.exe", (77, 7, "ghost.exe"))
    log.create_4688(1, 101, "b.exe", 78)
    assert log.tree(log.graph()) == {"ghost.exe": None, "a.exe": "ghost.exe", "pid 78": None, "b.exe": "pid 78"}


def test_a_parent_that_died_before_its_pid_was_used_again_displaces_nobody(log: Any) -> None:
    log.create(0, 77, 8, "alive.exe", EXPLORER)
    log.create(1, 100, 1, "a.exe", (77, 7, "ghost.exe"))
    log.security(2, 4663, ProcessId="0x4d", ProcessName="C:\\alive.exe", ObjectType="File", ObjectName="C:\\f",
                 AccessMask="0x1")  # fmt: skip
    graph = log.graph()
    assert log.tree(graph)["a.exe"] == "ghost.exe" and len(log.named(graph, "alive.exe")) == 1


def test_rows_out_of_order_in_the_file_make_the_same_tree(log: Any) -> None:
    log.create(5, 101, 2, "child.exe", (100, 1, "parent.exe"))
    log.sysmon(9, 11, 101, 2, "child.exe", TargetFilename="C:\\f")
    log.create(0, 100, 1, "parent.exe", EXPLORER)
    graph = log.graph()
    assert log.tree(graph)["child.exe"] == "parent.exe"
    assert [each["created_ts"] is not None for each in log.procs(graph)] == [False, True, True]


def test_a_spoofed_parent_is_claimed_and_the_tree_stays_one(log: Any) -> None:
    log.create_4688(0, 100, "evil.exe", 60, "word.exe", command="evil")
    log.create(0.2, 100, 1, "evil.exe", EXPLORER, CommandLine="evil")
    graph = log.graph()
    assert log.tree(graph)["evil.exe"] == "word.exe"
    assert [each["op"] for each in log.edges(graph, "PROC_CHILD")] == ["create", "claimed"]


def test_how_rare_a_parent_is_looks_only_back(log: Any) -> None:
    for n in range(3):
        log.create(n, 100 + n, 10 + n, "cmd.exe", EXPLORER)
    log.create(9, 200, 20, "net.exe", (100, 10, "cmd.exe"))
    rare = [each["rare_parent"] for each in log.procs(log.graph())]
    assert rare[0] is None and rare[1:4] == [1.0, 0.5, rare[3]] and 0.33 < rare[3] < 0.34 and rare[4] == 1.0


def test_a_linux_process_that_runs_another_program_is_a_further_node(log: Any) -> None:
    log.call(0, 56, 10, 1, "/bin/bash", a0="1200011", exit="20")  # clone
    log.call(1, 59, 20, 10, "/bin/sh", 'EXECVE argc=1 a0="sh"', 'PATH item=0 name="/bin/sh" nametype=NORMAL')
    log.call(2, 59, 20, 10, "/bin/cat", 'EXECVE argc=1 a0="cat"', 'PATH item=0 name="/bin/cat" nametype=NORMAL')
    graph = log.graph()
    assert log.tree(graph) == {"bash": "pid 1", "pid 1": None, "sh": "bash", "cat": "sh"}
    assert [each["op"] for each in log.edges(graph, "PROC_CHILD")] == ["ppid", "fork", "exec"]
    assert [each["cmdline"] for each in log.procs(graph)][-2:] == ["sh", "cat"]


def test_a_thread_is_no_child(log: Any) -> None:
    log.call(0, 56, 10, 1, "/bin/app", a0="3d0f00", exit="11")
    assert [each["pid"] for each in log.procs(log.graph())] == []


def test_a_linux_pid_after_its_exit_is_another_process(log: Any) -> None:
    log.call(0, 2, 20, 10, "/bin/a", 'PATH item=0 name="/f" nametype=NORMAL')
    log.call(1, 231, 20, 10, "/bin/a")  # exit_group
    log.call(90, 2, 20, 10, "/bin/a", 'PATH item=0 name="/f" nametype=NORMAL')
    assert len(log.named(log.graph(), "a")) == 2


def test_a_pid_that_is_used_again_within_a_second_is_another_process(log: Any) -> None:
    for second in (0, 0.5, 1):
        log.create_4688(second, 100, "cmd.exe", 50, command="cmd.exe /c x")
        log.sysmon(second, 5, 999, 9, "other.exe")
    assert len(log.named(log.graph(), "cmd.exe")) == 3


def test_two_reports_far_apart_are_two_creations(log: Any) -> None:
    log.create_4688(0, 100, "cmd.exe", 50, "explorer.exe", command="cmd /c x")
    log.create(60, 100, 1, "cmd.exe", EXPLORER, CommandLine="cmd /c x")
    assert len(log.named(log.graph(), "cmd.exe")) == 2


def test_a_linux_pid_with_another_parent_is_another_process(log: Any) -> None:
    for second, ppid in ((0, 10), (500, 11)):
        log.call(second, 59, 20, ppid, "/bin/cat", 'EXECVE argc=1 a0="cat"')
    graph = log.graph()
    assert len(log.named(graph, "cat")) == 2
    assert [each["op"] for each in log.edges(graph, "PROC_CHILD")] == ["ppid", "ppid"]


def test_a_call_that_names_a_file_twice_counts_once(log: Any) -> None:
    path = 'PATH item={} name="/f" nametype=NORMAL'
    log.call(0, 86, 20, 10, "/bin/ln", path.format(0), path.format(1))
    [edge] = log.edges(log.graph(), "PROC_FILE_RW")
    assert edge["n"] == 1 == len(edge["rows"])


def test_what_a_prefix_of_a_log_says_is_not_taken_back(log: Any) -> None:
    log.create(0, 100, 1, "cmd.exe", EXPLORER, CommandLine="cmd /c x")
    log.create_4688(0.4, 100, "cmd.exe", 50, "explorer.exe", command="cmd /c x")
    log.security(1, 4689, ProcessId="0x64", ProcessName="C:\\cmd.exe")
    log.create_4688(9, 100, "net.exe", 50, "explorer.exe")
    log.sysmon(10, 11, 100, 3, "net.exe", TargetFilename="C:\\f")
    log.sysmon(11, 11, 60, 6, "late.exe", TargetFilename="C:\\g")
    whole = [(each["host"], each["pid"], each["first_ts"]) for each in log.procs(log.graph())]
    lines = log.lines
    for n in range(len(lines)):
        log.lines = lines[:n]
        part = [(each["host"], each["pid"], each["first_ts"]) for each in log.procs(log.graph())]
        assert part == whole[: len(part)]
