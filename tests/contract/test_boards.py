"""What every board promises, over recorded machines and over the one that runs the test."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from agent.boards import Board, open_board
from tests.trees.unpack import TREES, files, unpack
from wire.health import Disk, Health, Memory, Throttle, Traffic

KIB = 1024
THIS_MACHINE = "this-machine"
REASONS = {"under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"}
LARGEST_RECORD = 4096  # bytes of a reading as JSON
MOST_CPU_S = 0.005  # of one reading
# What a tree cannot tell, because it is asked of the kernel and not of a file.
OWN = {"process_rss": None, "disk": None, "uptime_s": None, "clock_synchronised": None}


@dataclass(frozen=True)
class Machine:
    root: Path
    state: Path

    def board(self) -> Board:
        return open_board(self.state, self.root)


def machine(name: str, folder: Path) -> Machine:
    folder.mkdir(parents=True, exist_ok=True)
    return Machine(Path("/") if name == THIS_MACHINE else unpack(name, folder), folder)


@pytest.fixture(params=[*TREES, THIS_MACHINE])
def any_machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return machine(str(request.param), tmp_path / "machine")


@pytest.fixture(params=[name for name in TREES if "throttled" not in name])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return machine(str(request.param), tmp_path / "machine")


def assert_sound(health: Health) -> None:
    """What holds for every reading, whatever lies in the files."""
    encoded = msgspec.json.encode(health)
    assert msgspec.json.decode(encoded, type=Health) == health
    assert len(encoded) < 65536
    for share in (*(health.cpu_percent or ()), health.gpu_percent or 0, health.fan_percent or 0):
        assert 0 <= share <= 100
    for names in (health.temperatures_c, health.clocks_mhz, health.power_mw, health.network):
        assert names is None or (names and all(n.isprintable() and n.strip() for n in names))
    for celsius in (health.temperatures_c or {}).values():
        assert -100 < celsius < 250
    if health.throttle is not None:
        assert set(health.throttle.now) <= set(health.throttle.since_boot) <= REASONS


def test_a_board_has_a_name_for_people(any_machine: Machine) -> None:
    name = any_machine.board().name
    assert name.isprintable() and 0 < len(name) <= 100 and "\0" not in name


def test_readings_are_sound_and_small(any_machine: Machine) -> None:
    board = any_machine.board()
    for _ in range(3):
        health = board.read()
        assert_sound(health)
        assert len(msgspec.json.encode(health)) <= LARGEST_RECORD


def test_what_the_kernel_itself_tells_is_always_there(any_machine: Machine) -> None:
    health = any_machine.board().read()
    assert health.process_rss is not None
    assert 1e6 < health.process_rss["agent"] < 4e9
    assert health.disk is not None
    assert 0 <= health.disk.free <= health.disk.total
    assert health.uptime_s == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)


def test_a_reading_is_cheap(any_machine: Machine) -> None:
    board = any_machine.board()
    costs = []
    for _ in range(20):
        before = time.process_time()
        board.read()
        costs.append(time.process_time() - before)
    assert min(costs) < MOST_CPU_S


def test_this_machine_has_what_every_linux_has(tmp_path: Path) -> None:
    board = open_board(tmp_path)
    board.read()
    deadline = time.monotonic() + 30
    health = board.read()
    while health.cpu_percent is None and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel counts in hundredths of a second
        health = board.read()
    assert health.cpu_percent is not None
    assert len(health.cpu_percent) == len(os.sched_getaffinity(0)) or len(health.cpu_percent) > 0
    assert health.memory is not None
    assert health.memory.total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert health.load is not None
    assert health.load == pytest.approx(os.getloadavg(), abs=2)


def test_the_share_of_each_core_is_since_the_reading_before(tmp_path: Path) -> None:
    one = machine("raspberry-pi-4", tmp_path)
    board = one.board()
    stat = one.root / "proc/stat"
    assert board.read().cpu_percent is None  # no time went by
    text = stat.read_text()
    text = text.replace("cpu0 10000 0 5000 200000", "cpu0 10025 0 5000 200075")  # 25 of 100
    text = text.replace("cpu1 10000 0 5000 200000", "cpu1 10000 0 5100 200000")  # 100 of 100
    text = text.replace("cpu2 10000 0 5000 200000", "cpu2 10000 0 5000 200100")  # idle
    text = text.replace("cpu3 10000 0 5000 200000 1000", "cpu3 10010 0 5000 200000 1090")  # waits
    stat.write_text(text)
    assert board.read().cpu_percent == (25.0, 100.0, 0.0, 10.0)
    assert board.read().cpu_percent is None  # no time went by
    stat.write_text("\n".join(text.splitlines()[:4]))  # a core was switched off
    assert board.read().cpu_percent is None
    stat.write_text(text)
    assert board.read().cpu_percent is None


def test_an_empty_machine_gives_nothing(tmp_path: Path) -> None:
    board = open_board(tmp_path, tmp_path)
    health = replace(board.read(), **OWN)
    assert board.name == platform.machine()
    assert health == Health()


def test_a_state_folder_that_is_gone_has_no_disk(tmp_path: Path) -> None:
    assert open_board(tmp_path / "gone").read().disk is None


def memory(total: int, available: int, swap: int, free_swap: int) -> Memory:
    return Memory(total * KIB, available * KIB, swap * KIB, (swap - free_swap) * KIB)


def up(received: int, sent: int) -> Traffic:
    return Traffic(received, sent, 0, 0)


PI_4 = Health(
    load=(1.02, 0.90, 0.71),
    memory=memory(3884340, 3300000, 102396, 102396),
    temperatures_c={"cpu-thermal": 48.686},
    clocks_mhz={"cpu0": 1500.0},
    network={"eth0": up(0, 0), "wlan0": Traffic(7654321, 1234567, 0, 12)},
    throttle=Throttle(),
)
PI_5 = Health(
    load=(0.1, 0.2, 0.3),
    memory=memory(8256272, 7600000, 524272, 524272),
    temperatures_c={"cpu-thermal": 55.1, "rp1_adc": 52.368},
    clocks_mhz={"cpu0": 2400.0},
    network={"eth0": up(99999, 88888)},
    throttle=Throttle(("under_voltage",), ("under_voltage",)),
    fan_percent=60.0,
)
EXPECTED = {
    "generic-pc": Health(
        load=(0.52, 0.58, 0.59),
        memory=memory(16303428, 11262844, 2097148, 1048572),
        temperatures_c={
            "acpitz": 27.8,
            "x86_pkg_temp": 46.0,
            "nvme Composite": 38.85,
            "coretemp Package id 0": 46.0,
            "coretemp Core 0": 45.0,
            "coretemp Core 8": 44.0,
        },
        clocks_mhz={"cpu0": 800.017, "cpu1": 3400.123},
        network={"docker0": up(5000, 6000), "enp0s31f6": Traffic(123456789, 987654321, 4, 9)},
    ),
    "virtual-machine": Health(
        load=(0.31, 0.18, 0.11),
        memory=memory(24684096, 23288368, 0, 0),
        clocks_mhz={"cpu": 2299.998},
        network={"eth0": up(6960770151, 8674084)},
    ),
    "raspberry-pi-4": PI_4,
    "raspberry-pi-4-throttled": replace(
        PI_4,
        temperatures_c={"cpu-thermal": 82.303},
        clocks_mhz={"cpu0": 600.0},
        throttle=Throttle(
            ("under_voltage", "throttled"),
            ("under_voltage", "throttled", "soft_temperature_limit"),
        ),
    ),
    "raspberry-pi-5": PI_5,
    "raspberry-pi-5-throttled": replace(
        PI_5,
        fan_rpm=3314,
        throttle=Throttle((), ("frequency_capped", "throttled", "soft_temperature_limit")),
    ),
    "raspberry-pi-zero-2": Health(
        load=(3.9, 3.5, 2.0),
        memory=memory(436320, 110000, 102396, 52396),
        temperatures_c={"cpu-thermal": 64.464},
        clocks_mhz={"cpu0": 1000.0},
        network={"wlan0": up(7777, 6666)},
    ),
    "jetson-nano": Health(
        load=(2.1, 1.5, 0.9),
        memory=memory(4051056, 1900000, 2025520, 2025520),
        temperatures_c={
            "AO-therm": 41.5,
            "CPU-therm": 34.0,
            "GPU-therm": 31.0,
            "PLL-therm": 31.5,
            "thermal-fan-est": 33.0,
        },
        clocks_mhz={"cpu0": 918.0, "gpu": 460.8},
        network={"eth0": up(4444, 3333)},
        gpu_percent=53.7,
        power_mw={"POM_5V_IN": 4213.0, "POM_5V_GPU": 1012.0, "POM_5V_CPU": 648.0},
        fan_percent=31.4,
        power_mode="5W",
    ),
    "orin-nano": Health(
        load=(1.11, 1.22, 1.33),
        memory=memory(7802996, 4800000, 3901488, 3901488),
        temperatures_c={
            "cpu-thermal": 49.687,
            "gpu-thermal": 48.25,
            "soc0-thermal": 50.0,
            "soc1-thermal": 49.031,
            "soc2-thermal": 49.062,
            "tj-thermal": 50.0,
        },
        clocks_mhz={"cpu0": 1728.0, "cpu4": 1344.0, "gpu": 1020.0},
        network={"enP8p1s0": up(222222, 111111)},
        gpu_percent=99.2,
        power_mw={"VDD_IN": 7787.5, "VDD_CPU_GPU_CV": 2492.0, "VDD_SOC": 1594.9},
        fan_percent=40.0,
        fan_rpm=2214,
        power_mode="MAXN_SUPER",
    ),
}
NAMES = {
    "generic-pc": "OptiPlex 7050",
    "virtual-machine": platform.machine(),
    "raspberry-pi-4-throttled": "Raspberry Pi 4 Model B Rev 1.4",
    "raspberry-pi-zero-2": "Raspberry Pi Zero 2 W Rev 1.0",
    "jetson-nano": "NVIDIA Jetson Nano Developer Kit",
    "orin-nano": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
}


@pytest.mark.parametrize("name", TREES)
def test_every_value_of_a_recorded_machine(name: str, tmp_path: Path) -> None:
    board = machine(name, tmp_path).board()
    assert board.name == NAMES.get(name, board.name)
    assert replace(board.read(), **OWN) == EXPECTED[name]


def test_a_throttling_that_ended_is_remembered(tmp_path: Path) -> None:
    one = machine("raspberry-pi-4-throttled", tmp_path)
    board = one.board()
    before = board.read().throttle
    firmware = one.root / "sys/devices/platform/soc/soc:firmware"
    (firmware / "get_throttled").write_text("0\n")  # the kernel's driver makes it forget
    (firmware / "raspberrypi-hwmon/hwmon/hwmon1/in0_lcrit_alarm").write_text("0\n")
    assert before is not None
    assert board.read().throttle == Throttle((), before.since_boot)


def test_without_the_driver_a_zero_says_nothing(tmp_path: Path) -> None:
    one = machine("raspberry-pi-4", tmp_path)
    firmware = one.root / "sys/devices/platform/soc/soc:firmware"
    (firmware / "raspberrypi-hwmon/hwmon/hwmon1/name").write_text("other\n")
    assert one.board().read().throttle is None


def test_a_channel_that_is_not_wired_is_no_rail(tmp_path: Path) -> None:
    one = machine("orin-nano", tmp_path)
    (one.root / "sys/class/hwmon/hwmon1/in3_label").write_text("NC\n")
    power_mw = one.board().read().power_mw
    assert power_mw is not None
    assert set(power_mw) == {"VDD_IN", "VDD_CPU_GPU_CV"}


def test_memory_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    """psutil gives 0, and a warning, for what is missing or negative."""
    one = machine("raspberry-pi-4", tmp_path)
    (one.root / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemFree: -10 kB\n")
    assert one.board().read().memory is None


@pytest.mark.parametrize("thousandths", ["-273000", "-256000", "250001", "65535000", "", "x"])
def test_a_sensor_that_is_off_has_no_temperature(tmp_path: Path, thousandths: str) -> None:
    one = machine("raspberry-pi-zero-2", tmp_path)
    (one.root / "sys/class/thermal/thermal_zone0/temp").write_text(thousandths)
    assert one.board().read().temperatures_c is None


def test_sensors_keep_their_names_whatever_order_drivers_load_in(tmp_path: Path) -> None:
    one = machine("generic-pc", tmp_path)
    hwmon, pci = one.root / "sys/class/hwmon", "../../devices/pci0000:00/0000:00:1d.1/hwmon3"
    second = one.root / "sys/devices/pci0000:00/0000:00:1d.1/hwmon3"
    second.mkdir(parents=True)
    for file, content in (("name", "nvme"), ("temp1_input", "61000"), ("temp1_label", "Composite")):
        (second / file).write_text(content + "\n")
    (hwmon / "hwmon3").symlink_to(pci)
    before = one.board().read().temperatures_c
    assert before is not None
    assert (before["nvme Composite"], before["nvme Composite 2"]) == (38.85, 61.0)
    assert [name for name in before if name.startswith("core")] == [
        "coretemp Package id 0",
        "coretemp Core 0",
        "coretemp Core 8",  # temp10, after temp2
    ]
    (hwmon / "hwmon3").unlink()
    (hwmon / "hwmon1").rename(hwmon / "hwmon3")
    (hwmon / "hwmon1").symlink_to(pci)
    assert one.board().read().temperatures_c == before


def parts(value: object) -> list[object]:
    """A value's single readings: of a table each one, without its name."""
    return list(value.values()) if isinstance(value, dict) else [value]


def assert_not_more(poor: Health, good: Health) -> None:
    """Nothing is in a poorer reading that is not in the good one: no zero for what is unknown."""
    for field, value in asdict(replace(poor, **OWN)).items():
        if value is None or field == "throttle":
            continue
        of_good = parts(getattr(good, field))
        if field == "memory":  # known without swap, too
            assert (value.total, value.available) == (good.memory.total, good.memory.available)
        else:
            assert all(part in of_good for part in parts(value)), field


def test_each_file_may_be_missing_empty_blocking_or_a_folder(tree: Machine) -> None:
    good = tree.board().read()
    for number, path in enumerate(files(tree.root)):
        content = path.read_bytes()
        others = (Path.unlink, folder, blocking if "sys" in path.parts else Path.unlink)
        for spoil in (empty, others[number % len(others)]):
            opened = spoil(path)
            try:
                health = tree.board().read()
            finally:
                if isinstance(opened, int):
                    os.close(opened)
                restore(path, content)
            assert_sound(health)
            assert_not_more(without_second_source(health, path), good)
    assert replace(tree.board().read(), **OWN) == replace(good, **OWN)


def without_second_source(health: Health, path: Path) -> Health:
    """Without cpufreq, cpuinfo tells a frequency; without names, a power mode is a number; and
    what is not known to be a Jetson has a sensor that says 100 °C."""
    if path.name == "scaling_cur_freq":
        return replace(health, clocks_mhz=None)
    if path.name == "compatible":
        return replace(health, temperatures_c=None)
    return replace(health, power_mode=None) if path.name == "nvpmodel.conf" else health


def empty(path: Path) -> None:
    path.write_bytes(b"")


def blocking(path: Path) -> int:
    """A file whose reading would wait for ever."""
    path.unlink()
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def restore(path: Path, content: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Machine]:
    return {name: machine(name, tmp_path_factory.mktemp("tree") / name) for name in TREES}


NUMBERS = st.one_of(st.integers(), st.floats()).map(lambda number: str(number).encode())
LINES = st.lists(st.text(max_size=20), max_size=8).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)
GARBAGE = st.one_of(st.binary(max_size=200), NUMBERS, LINES, st.just(b"9" * 70_000))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(TREES), choice=st.randoms(use_true_random=False), garbage=GARBAGE)
def test_garbage_in_any_file_is_no_exception(
    machines: dict[str, Machine], name: str, choice: object, garbage: bytes
) -> None:
    one = machines[name]
    path = choice.choice(files(one.root))  # type: ignore[attr-defined]
    content = path.read_bytes()
    board = one.board()
    try:
        path.write_bytes(garbage)
        assert_sound(board.read())
        assert_sound(one.board().read())
        path.write_bytes(content[: len(garbage) % (len(content) + 1)])  # cut off somewhere
        assert_sound(one.board().read())
    finally:
        path.write_bytes(content)


def test_disk_is_that_of_the_state_folder(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    disk = open_board(tmp_path).read().disk
    assert disk is not None
    assert disk.total == found.f_blocks * found.f_frsize
    assert disk == Disk(disk.total, pytest.approx(found.f_bavail * found.f_frsize, rel=0.2))
