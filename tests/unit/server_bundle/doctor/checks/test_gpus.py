"""For which GPUs the server's compiled kernels are known to be: by what its wheels have."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import Recorded, guide

from server_bundle import doctor
from server_bundle.doctor import Finding, Severity


def kernels(box: Recorded, model: Path, capability: str, **changes: object) -> list[Finding]:
    box.out("nvidia-smi --query-gpu", "12.0", capability)
    found = doctor.examine(guide(model, version="0.7.2", **changes), box.machine())
    return [one for one in found if one.about == "kernels"]


@pytest.mark.parametrize(
    ("capability", "severity", "said"),
    [
        ("9.0", Severity.OK, "was run on H200 by this project"),
        ("12.0", Severity.OK, "this project has not run it"),
        ("8.9", Severity.NOTE, "whether this model runs on them is not known here"),
        ("10.0", Severity.NOTE, "brings compiled ones for sm_100"),
        ("10.3", Severity.NOTE, "not known whether those for sm_100 run on it"),
        ("12.1", Severity.NOTE, "none for sm_121 itself"),
        ("7.5", Severity.ERROR, "brings none for sm_75"),
    ],
)
def test_what_is_known_of_a_gpu(
    box: Recorded, model: Path, capability: str, severity: Severity, said: str
) -> None:
    """Of kt-kernel 0.7.2, whose wheels were read."""
    box.inside(sglang_kt="0.7.2", kt_kernel="0.7.2", sgl_kernel=None)
    (finding,) = kernels(box, model, capability)
    assert (finding.severity, said in finding.found) == (severity, True), finding
    assert severity is Severity.OK or finding.source


def test_other_versions_were_not_read(box: Recorded, model: Path) -> None:
    """Which is said; the guide's own GPU is known by the guide, and none by a server without."""
    (finding,) = kernels(box, model, "9.0")
    assert finding.severity is Severity.NOTE
    assert "sglang-kt 0.6.2.post3 brings compiled ones is not known here" in finding.found
    box.out("nvidia-smi --query-gpu", "9.0", "12.0")
    (finding,) = kernels(box, model, "12.0")
    assert finding.severity is Severity.OK
