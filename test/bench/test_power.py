"""Energy and power from made-up files of the kernel: RAPL counters, INA sensors, and machines that say nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from n3d_ros.bench import power
from n3d_ros.bench.power import CounterMeter, WattMeter, measured_energy, meters


def write(root: Path, files: dict[str, str]) -> None:
    """Nothing; makes files of a kernel."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")


def test_a_machine_that_says_nothing_has_no_meters(tmp_path: Path) -> None:
    assert meters(tmp_path) == []


def test_rapl_packages_are_read_without_their_parts_which_would_count_twice(tmp_path: Path) -> None:
    zone = "class/powercap/intel-rapl:0"
    write(
        tmp_path,
        {
            f"{zone}/name": "package-0",
            f"{zone}/energy_uj": "5000000",
            f"{zone}/max_energy_range_uj": "9999999",
            f"{zone}:0/name": "core",
            f"{zone}:0/energy_uj": "1",
            "class/powercap/intel-rapl/enabled": "1",
        },
    )
    (meter,) = meters(tmp_path)
    assert meter.name == "RAPL package-0"
    write(tmp_path, {f"{zone}/energy_uj": "7500000"})
    assert meter.joules() == pytest.approx(2.5)


def test_a_full_counter_begins_again_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "energy_uj"
    meter = CounterMeter("package", file, full=9_999_999)
    file.write_text("9000000")
    assert meter.joules() == 0.0
    file.write_text("500000")
    assert meter.joules() == pytest.approx(1.5)


@pytest.mark.parametrize("full", [0, 100])
def test_a_counter_that_begins_again_where_nobody_knows_how_much_is_missing_is_left_out(
    full: int, tmp_path: Path
) -> None:
    file, stays = tmp_path / "energy_uj", tmp_path / "other_uj"
    file.write_text("9000000")
    stays.write_text("0")
    with measured_energy([CounterMeter("begins", file, full=full), CounterMeter("stays", stays)], 10.0) as energy:
        file.write_text("500000")
        stays.write_text("1000000")
    assert energy.joules == {"stays": 1.0}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_counter_for_root_alone_is_no_meter(tmp_path: Path) -> None:
    write(tmp_path, {"class/powercap/intel-rapl:0/energy_uj": "1"})
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").chmod(0)
    assert meters(tmp_path) == []


def test_a_counter_that_holds_no_number_is_no_meter(tmp_path: Path) -> None:
    write(tmp_path, {"class/powercap/intel-rapl:0/energy_uj": "unknown"})
    assert meters(tmp_path) == []


def test_rails_of_a_jetson_are_voltage_times_current(tmp_path: Path) -> None:
    chip = "class/hwmon/hwmon3"
    write(
        tmp_path,
        {
            f"{chip}/name": "ina3221",
            f"{chip}/in1_label": "VDD_IN",
            f"{chip}/in1_input": "5000",
            f"{chip}/curr1_input": "3000",
            f"{chip}/in2_label": "VDD_CPU_GPU_CV",
            f"{chip}/in2_input": "5000",
            f"{chip}/curr2_input": "1000",
            f"{chip}/in7_label": "sum of shunt voltages",
            f"{chip}/in7_input": "40",
            f"{chip}/curr7_input": "40",
            "class/hwmon/hwmon0/name": "coretemp",
            "class/hwmon/hwmon0/power1_input": "1",
        },
    )
    found = meters(tmp_path)
    assert [meter.name for meter in found] == ["ina3221 VDD_IN", "ina3221 VDD_CPU_GPU_CV"]
    assert isinstance(found[0], WattMeter) and found[0].watts() == 15.0


def test_a_sensor_of_power_is_integrated_over_the_time_between_readings() -> None:
    at_s = iter([10.0, 12.0, 12.5])
    meter = WattMeter("rail", lambda: 4.0, now_s=lambda: next(at_s))
    assert [meter.joules() for _ in range(3)] == [0.0, 8.0, 2.0]


def test_the_gpu_is_asked_of_its_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(power, "gpu_query", lambda _keys: [["60.5"], ["71.25"]])
    (meter,) = meters(tmp_path, gpu=1)
    assert isinstance(meter, WattMeter) and meter.name == "GPU 1" and meter.watts() == 71.25
    monkeypatch.setattr(power, "gpu_query", lambda _keys: [["[N/A]"]])
    assert meters(tmp_path, gpu=0) == []


def test_energy_is_added_up_meanwhile_and_a_meter_that_fails_is_left_out(tmp_path: Path) -> None:
    file, gone = tmp_path / "energy_uj", tmp_path / "gone_uj"
    file.write_text("0")
    gone.write_text("0")
    with measured_energy([CounterMeter("stays", file), CounterMeter("goes", gone)], interval_s=10.0) as energy:
        file.write_text("3000000")
        gone.unlink()
    assert energy.joules == {"stays": 3.0}
    assert energy.seconds > 0
