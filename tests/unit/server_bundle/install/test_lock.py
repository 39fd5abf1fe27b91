"""Lock files: how they are read, and that those that ship follow the version rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging import tags, utils

from server_bundle.errors import NoSuchLock
from server_bundle.install import lock
from server_bundle.plan import version_rules

HEADER = """# made by a test
#: engine sglang-kt
#: version 1.2.post1
#: python 3.12
#: variant cuda
#: cuda 12.8
#: driver 525.60.13
#: glibc 2.35
#: date 2026-11-26
#: unpacked 300
#: instruction avx2
#: override a==1: because (b)
"""
DIGEST = "0123456789abcdef" * 4
WHEELS = f"""# kt_kernel-1.2.post1-cp312-cp312-manylinux_2_35_x86_64.whl 100
kt-kernel==1.2.post1 --hash=sha256:{DIGEST}
# Jinja2-3.1.6-py3-none-any.whl 50
jinja2==3.1.6 --hash=sha256:{DIGEST}
"""
SHIPPED = [pytest.param(one, id=one.name) for one in lock.known()]


def _read(folder: Path, text: str, name: str = "a.txt") -> lock.Lock:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return lock.read(path)


def test_what_a_lock_holds(tmp_path: Path) -> None:
    found = _read(tmp_path, HEADER + WHEELS)
    assert (found.engine, found.version, found.python) == ("sglang-kt", "1.2.post1", "3.12")
    assert (found.cuda, found.driver, found.glibc) == ("12.8", "525.60.13", "2.35")
    assert found.instructions == ("avx2",)
    assert found.overrides == ("a==1: because (b)",)
    assert (found.fetched, found.unpacked) == (150, 300)
    assert found.name == "sglang-kt-1.2.post1-cp312"
    assert found.wheels[0] == lock.Wheel(
        "kt-kernel",
        "1.2.post1",
        "kt_kernel-1.2.post1-cp312-cp312-manylinux_2_35_x86_64.whl",
        100,
        DIGEST,
    )
    assert found.first_import is None and found.used == found.unpacked
    more = HEADER + "#: first-import 30 400 a unpacks its kernels (c)\n" + WHEELS
    later = _read(tmp_path, more).first_import
    assert later == lock.FirstImport(30, 400, "a unpacks its kernels (c)")
    assert _read(tmp_path, more).used == 330
    of_cpu = _read(tmp_path, (HEADER + WHEELS).replace("variant cuda", "variant cpu"))
    assert of_cpu.name == "sglang-kt-1.2.post1-cp312-cpu"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (DIGEST + "\n# J", DIGEST[:-1] + "\n# J", r"line 14: after kt_kernel.* --hash=sha256:64"),
        ("jinja2==3.1.6", "jinja2>=3.1.6", r"line 16: after Jinja2"),
        ("jinja2==3.1.6", "jinja2==3.1.5", r"line 16: Jinja2-3.1.6.* is not a wheel of jinja2"),
        ("# Jinja2-3.1.6-py3-none-any.whl 50", "# Jinja2 50", r"line 16: no comment above it"),
        ("#: glibc 2.35\n", "", r"the header lacks glibc"),
        ("#: glibc", "#: libc", r"line 8: 'libc' is not a line of the header"),
        ("#: glibc 2.35", "#: glibc", r"line 8: 'glibc' is not a line of the header"),
        ("#: cuda 12.8", "#: python 3.11", r"line 6: python is there twice"),
        ("unpacked 300", "unpacked much", r"is not a number"),
        ("variant cuda", "variant gpu", r"variant is 'gpu'"),
        (
            "#: instruction",
            "#: first-import 30 a lot\n#: instruction",
            r"first-import is not BYTES",
        ),
        (f"jinja2==3.1.6 --hash=sha256:{DIGEST}\n", "", r"ends before its last wheel"),
        (WHEELS, "", r"ends before its last wheel"),
        (WHEELS, WHEELS + WHEELS, r"line 18: kt-kernel is there twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = HEADER + WHEELS
    assert before in text
    with pytest.raises(ValueError, match=r"a\.txt.*" + said):
        _read(tmp_path, text.replace(before, after, 1))


def test_find_names_what_there_is(tmp_path: Path) -> None:
    old = (HEADER + WHEELS).replace("version 1.2.post1", "version 1.1", 1)
    older_python = (HEADER + WHEELS).replace("python 3.12", "python 3.11")
    for number, text in enumerate((old, HEADER + WHEELS, older_python)):
        _read(tmp_path, text, f"{number}.txt")
    find = lock.find
    assert find("sglang-kt", folder=tmp_path).name == "sglang-kt-1.2.post1-cp312"
    assert find("sglang-kt", "1.1", folder=tmp_path).version == "1.1"
    assert find("sglang-kt", None, "3.11", folder=tmp_path).python == "3.11"
    with pytest.raises(NoSuchLock, match=r"sglang-kt 1\.3\. Of sglang-kt there are 1\.2\.post1 on"):
        find("sglang-kt", "1.3", folder=tmp_path)
    with pytest.raises(NoSuchLock, match=r"1\.1 on Python 3\.11\. Of"):
        find("sglang-kt", "1.1", "3.11", folder=tmp_path)
    with pytest.raises(NoSuchLock, match="for sglang-ktt, only for sglang-kt"):
        find("sglang-ktt", folder=tmp_path)
    with pytest.raises(NoSuchLock, match="no lock file for sglang-kt, only for nothing"):
        find("sglang-kt", variant="cpu", folder=tmp_path)


def test_the_versions_that_ship() -> None:
    names = {one.name for one in lock.known()}
    engines = ("sglang-kt-0.7.2", "sglang-kt-0.6.2.post3", "sglang-0.5.23")
    assert names == {f"{engine}-cp{python}" for engine in engines for python in (311, 312)}
    assert all(one.path.name == f"{one.name}.txt" for one in lock.known())
    assert lock.find("sglang-kt").name == "sglang-kt-0.7.2-cp312"
    assert lock.find("sglang").name == "sglang-0.5.23-cp312"


@pytest.mark.parametrize("one", SHIPPED)
def test_a_lock_follows_the_version_rules(one: lock.Lock) -> None:
    versions = {wheel.name: wheel.version for wheel in one.wheels}
    assert versions[one.engine] == one.version
    for need in version_rules.required_packages(one.engine, one.version):
        assert need.package in versions, f"{need.package} {need.spec}: {need.reason}"
        assert need.allows(versions[need.package]), f"{need.package} {need.spec}: {need.reason}"
    if "flashinfer-cubin" in versions:
        assert versions["flashinfer-cubin"] == versions["flashinfer-python"]
    # both would bring the import package `transformers`
    assert len({"transformers", "transformers-kt"} & versions.keys()) == 1
    if version_rules.satisfies(versions.get("kt-kernel", "0"), ">=0.7"):
        assert not {"sgl-kernel", "sglang-kernel"} & versions.keys()
        assert versions["ktransformers"] == versions["kt-kernel"]


@pytest.mark.parametrize("one", SHIPPED)
def test_every_wheel_installs_on_the_machine_that_the_header_names(one: lock.Lock) -> None:
    version = tuple(int(part) for part in one.python.split("."))
    short = f"cp{one.python.replace('.', '')}"
    minor = int(one.glibc.removeprefix("2."))
    platforms = [
        *(f"manylinux_2_{older}_x86_64" for older in range(minor, 4, -1)),
        *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"),
    ]
    fit = {
        *tags.cpython_tags(version, [short], platforms),
        *tags.compatible_tags(version, short, platforms),
    }
    newest = 0
    for wheel in one.wheels:
        name, release, _build, theirs = utils.parse_wheel_filename(wheel.file)
        assert (str(name), str(release)) == (wheel.name, wheel.version)
        assert theirs & fit, wheel.file
        found = [int(number) for number in re.findall(r"manylinux_2_(\d+)_x86_64", wheel.file)]
        newest = max(newest, min(found, default=0))
        assert wheel.size > 0
    assert newest <= minor
    assert one.cuda is not None and one.driver is not None
    assert one.fetched < one.unpacked


@pytest.mark.parametrize("one", SHIPPED)
def test_a_lock_names_no_place(one: lock.Lock) -> None:
    assert "://" not in one.path.read_text(encoding="utf-8")
    assert all("(" in why for why in one.overrides), "each override has its source"
