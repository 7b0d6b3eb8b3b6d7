"""From what a machine does to what its five sensors write: counters, sampling times, multiplexing, resets.

Every source has times, habits and faults of its own, and none of them depends on the label. What does not
belong here: the activity itself (`activity.py`) and the archive (`episodes/store/writer.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlstir_core.arrays import Floats, Ints
from rlstir_core.lab.hosts import Host
from rlstir_core.lab.machine.events import Connected
from rlstir_core.lab.sensors.activities import COSTS, ROW
from rlstir_core.lab.signals import STEP_S, between, lognormal, stream

Columns = dict[str, np.ndarray[Any, Any]]

NS = 1_000_000_000
PAGE = 4096
_FINE = 1000  # counters grow in thousandths, so that slow ones keep their pace
_PORTS = np.array([443, 443, 443, 443, 80, 53, 53, 123, 22, 445, 993, 8080])


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Chances per episode of what real sensors do; blind to the label."""

    guest_restart: float = 0.10
    proc_restart: float = 0.03
    perf_reopen: float = 0.03
    pause: float = 0.06  # the sampler stalls for a second or two
    lost: float = 0.002  # of single rows


FAULTS = Faults()


@dataclass(frozen=True, kw_only=True)
class SensorInput:
    """The frame of one episode: who, when, how long, and the activity that the sensors look at."""

    seed: int
    episode: str
    host: Host
    start_wall_ns: int
    duration_s: float
    uptime_s: float
    n_flows: int  # beside those of `connections`
    rates: Floats
    guest_ip: str
    connections: tuple[Connected, ...]  # of the guest's events

    def stream(self, name: str) -> np.random.Generator:
        return stream(self.seed, self.episode, name)

    def clocks(self, times_ns: Ints, mono_zero_ns: int = 0) -> Columns:
        """`t_wall_ns` and `t_mono_ns`; the two clocks drift apart as the host's do."""
        drift = times_ns * round(self.host.clock_ppm * 1000) // NS
        return {"t_wall_ns": self.start_wall_ns + times_ns, "t_mono_ns": mono_zero_ns + times_ns + drift}


def proc(recording: SensorInput) -> Columns:
    """`proc.jsonl`: cumulative /proc counters of the guest's process, and its memory and threads."""
    rng = recording.stream("proc")
    times = _sampling(recording, rng, 10.0)
    meter = _Meter(recording, rng, times, FAULTS.proc_restart)
    ticks = recording.host.ticks_hz
    rss = _level(recording, "rss", times) // PAGE * PAGE
    every = recording.host.rss_every
    return {
        **recording.clocks(times),
        "utime_ticks": meter.counter("user", ticks),
        "stime_ticks": meter.counter("sys", ticks),
        "minflt": meter.counter("minflt"),
        "majflt": meter.counter("majflt"),
        "vctx": meter.counter("vctx"),
        "nvctx": meter.counter("nvctx"),
        "rchar": meter.counter("rchar"),
        "wchar": meter.counter("wchar"),
        "read_bytes": meter.counter("read") // PAGE * PAGE,
        "write_bytes": meter.counter("write") // PAGE * PAGE,
        "rss_bytes": rss[np.arange(len(rss)) // every * every],
        "threads": _level(recording, "threads", times),
    }


def perf(recording: SensorInput) -> Columns:
    """`perf.jsonl`: the six hardware counters, unscaled: each counted only while it was on the core."""
    rng = recording.stream("perf")
    times = _sampling(recording, rng, 10.0)
    share = np.clip(recording.host.mux * lognormal(rng, 0.05, len(times)), 0.05, 1.0)
    reset = _reset_at(rng, len(times), FAULTS.perf_reopen)
    opened = round(between(rng, 0.2, 3.0) * NS)
    enabled = np.diff(times, prepend=-opened)
    running = np.rint(enabled * share).astype(np.int64)
    columns = recording.clocks(times)
    for name in ("cycles", "instructions", "cache_refs", "cache_misses", "branches", "branch_misses"):
        true = _accumulated(recording.rates[ROW[name]], times)
        steps = np.diff(true, prepend=0)
        steps[0] += int(recording.rates[ROW[name], 0]) * opened // NS * _FINE
        columns[name] = _since_reset(np.cumsum(np.rint(steps // _FINE * share).astype(np.int64)), reset)
    columns["time_enabled_ns"] = _since_reset(np.cumsum(enabled), reset)
    columns["time_running_ns"] = _since_reset(np.cumsum(running), reset)
    return columns


def qmp(recording: SensorInput) -> Columns:
    """`qmp.jsonl`: block and network totals of the virtual machine, as the hypervisor counts them."""
    rng = recording.stream("qmp")
    times = _sampling(recording, rng, 1.0)
    meter = _Meter(recording, rng, times, 0.0)
    read, write, flush = meter.counter("read"), meter.counter("write"), meter.counter("flush")
    op_bytes = round(between(rng, 20_000, 48_000))
    balloon = round(between(rng, 4, 8)) * 2**30
    return {
        **recording.clocks(times),
        "rd_bytes": read // 512 * 512,
        "wr_bytes": write // 512 * 512,
        "rd_ops": read // op_bytes + meter.counter("majflt") // 2,
        "wr_ops": write // op_bytes + flush,
        "flush_ops": flush,
        "net_rx_bytes": meter.counter("rx"),
        "net_tx_bytes": meter.counter("tx"),
        "balloon_bytes": np.full(len(times), balloon),
    }


def netflow(recording: SensorInput) -> Columns:
    """`netflow.jsonl`: one line per flow: the connections of the guest's events, and the rest of the traffic.

    How many there are of the rest is given; when and how big follows the activity.
    """
    rng = recording.stream("netflow")
    logged, rest = _logged_flows(recording, rng), _other_flows(recording, rng)
    flows = {name: np.concatenate([logged[name], rest[name]]) for name in rest}
    order = np.argsort(flows["t_ns"], kind="stable")
    flows = {name: column[order] for name, column in flows.items()}
    times = flows.pop("t_ns")
    return {**recording.clocks(times, mono_zero_ns=round(recording.uptime_s * 1000) * 1_000_000), **flows}


def _logged_flows(recording: SensorInput, rng: np.random.Generator) -> Columns:
    """A flow for each connection of the guest's events; a refused one is a packet each way."""
    connections = recording.connections
    n = len(connections)
    size = np.array([120 + each.sent + each.received for each in connections], dtype=np.int64)
    size += 54 * rng.integers(4, 12, n)  # headers
    failed = np.array([each.failed for each in connections], dtype=bool)
    tcp = np.array([each.l4 == "tcp" for each in connections], dtype=bool)
    last_ns = round(recording.duration_s * NS) - 1
    return {
        "t_ns": np.array([min(each.t_ns - recording.start_wall_ns, last_ns) for each in connections], dtype=np.int64),
        "bytes": np.where(failed, 114, size),
        "pkts": np.where(failed, 2, 2 + size // rng.integers(500, 1400, n)),
        "src": _objects([each.src_ip for each in connections]),
        "dst": _objects([each.dst_ip for each in connections]),
        "sport": np.array([each.src_port for each in connections], dtype=np.int64),
        "dport": np.array([each.dst_port for each in connections], dtype=np.int64),
        "proto": np.where(tcp, 6, 17),
        "dur_ns": np.array([each.duration_ns for each in connections], dtype=np.int64),
        "tcp_flags": np.where(tcp, np.where(failed, 2, 27), 0),
        "dir": _objects(["in" if each.inbound else "out" for each in connections]),
    }


def _other_flows(recording: SensorInput, rng: np.random.Generator) -> Columns:
    rates, n = recording.rates, recording.n_flows
    weight = np.cumsum(np.rint(rates[ROW["flows"], :-1] * _FINE).astype(np.int64) + 1)
    picks = np.sort(rng.integers(0, weight[-1], n))
    step = np.searchsorted(weight, picks, side="right")
    times = np.sort(step * round(STEP_S * NS) + rng.integers(0, round(STEP_S * NS), n))
    times = np.minimum(times, round(recording.duration_s * NS) - 1)
    flows = np.maximum(rates[ROW["flows"], step], 0.05)
    sent, received = rates[ROW["tx"], step], rates[ROW["rx"], step]
    size = 60 + np.rint((sent + received) / flows * lognormal(rng, 0.8, n)).astype(np.int64)
    outward = rng.random(n) * (sent + received) < sent
    tcp = rng.random(n) < 0.82
    peer = rng.integers(2, 250, (2, n))
    guest, peers = recording.guest_ip, [f"10.{a}.{b}.{(a * b) % 251 + 2}" for a, b in peer.T.tolist()]
    inward = ~outward
    ports = (_PORTS[rng.integers(0, len(_PORTS), n)], rng.integers(32768, 60999, n))
    return {
        "t_ns": times,
        "bytes": size,
        "pkts": 1 + size // rng.integers(500, 1400, n),
        "src": _objects([p if i else guest for p, i in zip(peers, inward.tolist(), strict=True)]),
        "dst": _objects([guest if i else p for p, i in zip(peers, inward.tolist(), strict=True)]),
        "sport": np.where(inward, ports[0], ports[1]),
        "dport": np.where(inward, ports[1], ports[0]),
        "proto": np.where(tcp, 6, 17),
        "dur_ns": np.rint(lognormal(rng, 1.2, n) * 0.2 * NS).astype(np.int64),
        "tcp_flags": np.where(tcp, np.where(rng.random(n) < 0.8, 27, 2), 0),
        "dir": _objects(["in" if i else "out" for i in inward.tolist()]),
    }


def _objects(values: list[str]) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=object)


def guest(recording: SensorInput) -> Columns:
    """`guest.jsonl`: load average, processes, and the agent's own totals, which a restart sets to zero."""
    rng = recording.stream("guest")
    times = _sampling(recording, rng, 1.0)
    meter = _Meter(recording, rng, times, FAULTS.guest_restart)
    busy = (_level(recording, "user", times, 1000) + _level(recording, "sys", times, 1000)) / 1000.0
    load, loads = float(busy[0]), []
    for value in busy.tolist():  # the kernel's one-minute average, exp(-1/60) a second
        load = load * 0.98347 + value * 0.01653
        loads.append(round(load, 2))
    return {
        **recording.clocks(times),
        "load": np.array(loads),
        "nproc": _level(recording, "procs", times),
        "files_opened": meter.counter("opens"),
        "exec_count": meter.counter("execs"),
    }


class _Meter:
    """Cumulative counters of one source, read at its sampling times; all of them reset together."""

    def __init__(self, recording: SensorInput, rng: np.random.Generator, times: Ints, reset_chance: float) -> None:
        self._recording, self._times = recording, times
        self._reset = _reset_at(rng, len(times), reset_chance)
        self._age_s = between(rng, 600.0, recording.uptime_s)

    def counter(self, resource: str, per_unit: float = 1.0) -> Ints:
        """The counter's value at each time: what had piled up before, and what came since."""
        rates = self._recording.rates[ROW[resource]] * per_unit
        before = round(float(COSTS["idle"][ROW[resource]]) * per_unit * self._age_s) * _FINE
        return _since_reset((before + _accumulated(rates, self._times)) // _FINE, self._reset)


def _accumulated(rates: Floats, times_ns: Ints) -> Ints:
    """Thousandths that `rates` have added up to by each time; integers, so every machine agrees."""
    steps = np.rint(rates * (STEP_S * _FINE)).astype(np.int64)
    totals = np.concatenate([[0], np.cumsum(steps)])
    width = round(STEP_S * NS)
    index = np.minimum(times_ns // width, len(steps) - 1)
    share = (times_ns - index * width) / width
    begun: Ints = np.rint(steps[index] * np.minimum(share, 1.0)).astype(np.int64)
    return np.asarray(totals[index] + begun)


def _level(recording: SensorInput, resource: str, times_ns: Ints, scale: int = 1) -> Ints:
    index = np.minimum(times_ns // round(STEP_S * NS), recording.rates.shape[1] - 1)
    levels: Ints = np.rint(recording.rates[ROW[resource], index] * scale).astype(np.int64)
    return levels


def _sampling(recording: SensorInput, rng: np.random.Generator, rate_hz: float) -> Ints:
    """Sampling times in ns since the start: the period, scheduling delay, rare stalls and lost rows."""
    n = int(recording.duration_s * rate_hz)
    delay = np.abs(recording.host.wobble_s * rng.standard_normal(n))
    late = rng.random(n) < 0.01
    delay = np.where(late, delay + 0.5 / rate_hz * rng.random(n), delay)
    phase = float(rng.random()) * 0.3 / rate_hz
    times = np.arange(n) / rate_hz + phase + np.minimum(delay, 0.6 / rate_hz)
    kept = rng.random(n) >= FAULTS.lost
    if rng.random() < FAULTS.pause:
        begin = between(rng, 0.0, recording.duration_s - 3.0)
        kept &= (times < begin) | (times > begin + between(rng, 1.0, 2.0))
    sampled: Ints = np.rint(times[kept] * NS).astype(np.int64)
    return sampled


def _reset_at(rng: np.random.Generator, n: int, chance: float) -> int | None:
    happens, place = rng.random() < chance, int(rng.integers(1, n))
    return place if happens else None


def _since_reset(values: Ints, reset: int | None) -> Ints:
    """The counter as it is read when it starts again from zero at row `reset`."""
    if reset is None:
        return values
    again = values.copy()
    again[reset:] -= values[reset - 1]
    return again
